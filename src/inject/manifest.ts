import { type Document, parseAllDocuments, visit } from "yaml";
import { messageOf } from "../error.ts";
import { InjectError } from "./error.ts";
import type { Input } from "./input.ts";
import { kubernetesYaml } from "./kubernetes-yaml.ts";

/** How often aliases may be expanded, as the webhook's other readers of YAML have it. */
const MAX_ALIASES = 100;
/** How deeply values may be nested. The deepest objects of Kubernetes have some 20 levels. */
const MAX_DEPTH = 100;

/** A file of manifests. */
export interface Manifest extends Input {
  readonly format: "yaml" | "json";
  readonly documents: readonly ManifestDocument[];
}

export interface ManifestDocument {
  /** Where it stands, for messages: "web.yaml, document 2". */
  readonly place: string;
  readonly tree: Document.Parsed;
  readonly value: unknown;
}

/**
 * Reads the documents of a file, YAML or JSON.
 * @throws InjectError NotYaml, TooLarge, naming the document and the line
 */
export function parseManifest({ name, text }: Input): Manifest {
  const format = isJson(text) ? "json" : "yaml";
  const trees = parseTrees(text, name);
  const documents = trees.map((tree, index) => {
    const place = trees.length === 1 ? name : `${name}, document ${index + 1}`;
    const problem = tree.errors[0];
    if (problem?.code === "RESOURCE_EXHAUSTION") throw tooDeep(place);
    if (problem) throw new InjectError("NotYaml", `${place} is neither YAML nor JSON: ${oneLine(problem.message)}`);
    return { place, tree, value: readValue(tree, place) };
  });
  return { name, text, format, documents };
}

function isJson(text: string): boolean {
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** @throws InjectError TooLarge where the parser's recursion ends before the document does. */
function parseTrees(text: string, name: string): Document.Parsed[] {
  try {
    const trees = parseAllDocuments(text, kubernetesYaml);
    return "empty" in trees ? [] : trees;
  } catch (error) {
    if (error instanceof RangeError) throw tooDeep(name);
    throw error;
  }
}

/** The message without the excerpt of the source below it. */
function oneLine(message: string): string {
  return message.split("\n", 1)[0]?.replace(/:$/, "") ?? message;
}

function readValue(tree: Document.Parsed, place: string): unknown {
  let value: unknown;
  try {
    refuseCycles(tree, place);
    value = tree.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    if (error instanceof RangeError) throw tooDeep(place);
    if (!(error instanceof ReferenceError)) throw error;
    const message = messageOf(error);
    throw message.startsWith("Excessive")
      ? new InjectError("TooLarge", `${place} expands aliases more than ${MAX_ALIASES} times: write out what they name`)
      : new InjectError("NotYaml", `${place}: ${message}`);
  }
  if (isDeeper(value, MAX_DEPTH)) throw tooDeep(place);
  return value;
}

/** An alias inside of what it names: a value without an end, which no API takes. */
function refuseCycles(tree: Document.Parsed, place: string): void {
  visit(tree, {
    Alias(_key, alias, ancestors) {
      const cyclic = ancestors.some(node => "anchor" in node && node.anchor === alias.source);
      if (cyclic)
        throw new InjectError("NotYaml", `${place}: the alias *${alias.source} stands inside of what it names`);
    },
  });
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some(member => isDeeper(member, levels - 1));
}

function tooDeep(place: string): InjectError {
  return new InjectError("TooLarge", `${place} is nested more than ${MAX_DEPTH} levels deep`);
}
