import { parseDocument } from "yaml";
import { type OrRefusal, refuse } from "../decision/refusal.ts";
import { messageOf } from "../error.ts";

/** Aliases a configuration may expand: enough for a person's anchors, too few for an expansion bomb. */
const MAX_ALIASES = 100;

/**
 * The text that a module receives as its configuration: JSON stays as it is, a YAML mapping becomes JSON text,
 * anything else is plain text and stays as it is. Text that starts like a JSON object but is none is refused, since
 * the author plainly meant one.
 */
export function filterConfig(annotation: string, value: string): OrRefusal<string> {
  if (!value.isWellFormed()) {
    return refuse("BadValue", `${annotation} holds a lone surrogate, which is not Unicode text`);
  }
  if (isJson(value)) return value;
  const { mapping, problem } = yamlMapping(value);
  if (mapping !== null) return mapping;
  if (value.trimStart().startsWith("{")) {
    return refuse("BadValue", `${annotation} starts like a JSON object but is not one: ${problem}`);
  }
  return value;
}

function isJson(value: string): boolean {
  try {
    JSON.parse(value);
    return true;
  } catch {
    return false;
  }
}

function yamlMapping(value: string): { mapping: string | null; problem: string } {
  const document = parseDocument(value, { prettyErrors: true, uniqueKeys: true });
  const error = document.errors[0];
  if (error) return { mapping: null, problem: error.message.split("\n")[0] ?? error.code };
  try {
    const parsed: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
    const isMapping = typeof parsed === "object" && parsed !== null && !Array.isArray(parsed);
    return { mapping: isMapping ? JSON.stringify(parsed) : null, problem: "it is not a mapping" };
  } catch (error) {
    return { mapping: null, problem: messageOf(error) };
  }
}
