import { type DocumentOptions, isScalar, type ParseOptions, type ScalarTag, type SchemaOptions, type Tags } from "yaml";

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
  customTags: tags => tags.filter(isJsonType).map(withoutAccidents),
};

const OTHER_TYPES = new Set(["timestamp", "binary", "omap", "pairs", "set"].map(name => `tag:yaml.org,2002:${name}`));

function isJsonType(tag: Tags[number]): boolean {
  return typeof tag === "string" || (!OTHER_TYPES.has(tag.tag) && tag.format !== "TIME");
}

/** The reader's patterns take ".", "e0" and "0x_" for numbers, which they then are not; Kubernetes' clients don't. */
function withoutAccidents(tag: Tags[number]): Tags[number] {
  if (typeof tag === "string" || tag.collection !== undefined || !NUMBERS.has(tag.tag)) return tag;
  const { resolve } = tag;
  const careful: ScalarTag = {
    ...tag,
    resolve(text, onError, options) {
      const found = resolve(text, onError, options);
      const value = isScalar(found) ? found.value : found;
      return Number.isNaN(value) && !/^\.nan$/i.test(text) ? text : found;
    },
  };
  return careful;
}

const NUMBERS = new Set(["tag:yaml.org,2002:int", "tag:yaml.org,2002:float"]);

/** Plain words that are no strings to a reader of YAML 1.1 or 1.2. */
const WORDS = /^(?:y|n|yes|no|on|off|true|false|null|e[-+]?\d+)$/i;
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
