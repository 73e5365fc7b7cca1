import { type OrRefusal, refuse } from "../decision/refusal.ts";
import { looksLikeMapping, yamlMapping } from "./yaml-mapping.ts";

/**
 * The text that a module receives as its configuration. JSON stays as it is. What is plainly meant as a mapping (it opens
 * with a key and a colon, or with a brace) becomes JSON text, and is refused where it is not a good one: a module must
 * not get text in place of an object because of a tab. Anything else is plain text and stays as it is.
 * @param annotation how messages call the annotation
 * @param limit the longest result in bytes
 */
export function filterConfig(annotation: string, value: string, limit: number): OrRefusal<string> {
  if (!value.isWellFormed()) {
    return refuse("BadValue", `${annotation} holds a lone surrogate, which is not Unicode text`);
  }
  if (isJson(value) || !looksLikeMapping(value)) return value;
  const mapping = yamlMapping(value, limit);
  if ("json" in mapping) return mapping.json;
  const advice = "write good YAML or JSON; for plain text, begin with a line that is no key";
  return refuse(
    "BadValue",
    `${annotation} starts like a YAML or JSON object but is not one: ${mapping.problem}; ${advice}`,
  );
}

/** Whether a configuration has to be parsed as YAML, which costs much more than JSON. */
export function isYaml(value: string): boolean {
  return looksLikeMapping(value) && !isJson(value);
}

function isJson(value: string): boolean {
  try {
    JSON.parse(value);
    return true;
  } catch {
    return false;
  }
}
