import type { ErrorObject } from "ajv";
import { closest, distance } from "fastest-levenshtein";

/** What a document has wrong by its schema: the place, and what would be right. @param whole names the document itself */
export function schemaProblem(error: ErrorObject, whole: string): string {
  const place = error.instancePath.slice(1).replaceAll("/", ".") || whole;
  switch (error.keyword) {
    case "additionalProperties":
      return unknownKey(place, String(error.params["additionalProperty"]), error.parentSchema?.["properties"]);
    case "required":
      return `${place} needs the key ${error.params["missingProperty"]}`;
    case "enum":
      return `${place} is ${JSON.stringify(error.data)}, allowed are ${error.params["allowedValues"].join(", ")}`;
    default:
      return `${place} ${error.message ?? error.keyword}, and is ${JSON.stringify(error.data)}`;
  }
}

function unknownKey(place: string, key: string, properties: unknown): string {
  const known = typeof properties === "object" && properties !== null ? Object.keys(properties) : [];
  if (known.length === 0) return `${place} has the unknown key ${key}`;
  const nearest = closest(key, known);
  const hint = distance(key, nearest) <= 3 ? `did you mean ${nearest}?` : `known are ${known.join(", ")}`;
  return `${place} has the unknown key ${key}: ${hint}`;
}
