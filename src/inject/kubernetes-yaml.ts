import type { DocumentOptions, ParseOptions, SchemaOptions, Tags } from "yaml";

/**
 * YAML as Kubernetes' clients read it: 1.1 with merge keys, octal numbers and yes/no, but without the types that JSON
 * lacks and the numbers to the base of 60 (sigs.k8s.io/yaml and the go-yaml below it).
 */
export const kubernetesYaml: ParseOptions & DocumentOptions & SchemaOptions = {
  version: "1.1",
  schema: "yaml-1.1",
  merge: true,
  uniqueKeys: true,
  keepSourceTokens: true,
  // Keys that are collections are stringified, and a warning on the process would be all that this says of them.
  logLevel: "silent",
  customTags: tags => tags.filter(isJsonType),
};

const OTHER_TYPES = new Set(["timestamp", "binary", "omap", "pairs", "set"].map(name => `tag:yaml.org,2002:${name}`));

function isJsonType(tag: Tags[number]): boolean {
  return typeof tag === "string" || (!OTHER_TYPES.has(tag.tag) && tag.format !== "TIME");
}

/** Plain words that are no strings to a reader of YAML 1.1 or 1.2. */
const WORDS = /^(?:y|n|yes|no|on|off|true|false|null)$/i;
/** What JSON would write with escapes, and single quotes without. */
const WITH_QUOTES = /^(?=.*")[ -&(-~]+$/;
const PLAIN = /^[A-Za-z/](?:[\w./@-]|:(?=[\w./@-]))*$/;

/** A scalar as YAML text that every reader takes for the same: quoted like JSON where there is any doubt. */
export function scalarText(value: unknown): string {
  if (typeof value !== "string") return jsonText(value);
  if (PLAIN.test(value) && !WORDS.test(value)) return value;
  return WITH_QUOTES.test(value) ? `'${value}'` : jsonText(value);
}

/**
 * A value as JSON that is also YAML: characters that YAML 1.1 takes for line breaks, or not at all, are escaped.
 * @param indent as for JSON.stringify
 */
export function jsonText(value: unknown, indent?: string): string {
  return JSON.stringify(value, null, indent).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
