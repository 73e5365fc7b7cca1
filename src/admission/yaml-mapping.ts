import { Composer, type Document, isPair, isScalar, type Node, Parser, visit } from "yaml";
import { BootstrapError } from "../envoy/bootstrap-error.ts";
import { checkTokens } from "../envoy/yaml-tokens.ts";
import { messageOf } from "../error.ts";
import { jsonText, NotJsonError } from "./json-text.ts";

/** Aliases a configuration may expand: enough for a person's anchors, too few for an expansion bomb. */
const MAX_ALIASES = 100;

/** The JSON text that a YAML mapping means, or why it means none. */
export type YamlMapping = { readonly json: string } | { readonly problem: string };

/**
 * Whether text is plainly meant as a YAML mapping: its first line that is no comment is a key, a colon and a blank or the
 * line's end, or it opens with a brace. Costs a look at the first lines.
 */
export function looksLikeMapping(text: string): boolean {
  const first = text.split("\n", 64).find(line => /^\s*[^\s#]/.test(line) && !/^(---|%)/.test(line)) ?? "";
  return /^\s*(\{|("[^"]*"|'[^']*'|[^\s\-?:,[\]{}#&*!|>'"%@`][^:#]{0,255}?)\s*:(\s|$))/.test(first);
}

/**
 * Converts a YAML mapping (1.2, core schema) to JSON text. Nothing is lost on the way: large integers keep their digits,
 * and what JSON has no form for is a problem, as is a key that stands twice.
 * @param limit the longest result in bytes
 */
export function yamlMapping(text: string, limit: number): YamlMapping {
  try {
    const document = compose(text);
    const error = document.errors[0] ?? document.warnings[0];
    if (error) return { problem: firstLine(error.message) };
    const twice = duplicateKey(document);
    if (twice !== null) return { problem: `the key ${JSON.stringify(twice)} stands twice in one mapping` };
    const value: unknown = document.toJS({ mapAsMap: true, maxAliasCount: MAX_ALIASES });
    return value instanceof Map ? { json: jsonText(value, limit) } : { problem: "it is not a mapping" };
  } catch (error) {
    if (error instanceof BootstrapError || error instanceof NotJsonError || error instanceof ReferenceError) {
      return { problem: firstLine(messageOf(error)) };
    }
    throw error;
  }
}

/** Tokens first: the library recurses when it makes nodes of them, and a deep text would take the process down. */
function compose(text: string): Document {
  const tokens = [...new Parser().parse(text)];
  checkTokens(text, tokens);
  // The library's own search for duplicate keys takes the square of their number.
  const composer = new Composer({ uniqueKeys: false, prettyErrors: false, intAsBigInt: true });
  const [document] = composer.compose(tokens, true, text.length);
  if (document === undefined) throw new NotJsonError("it is empty");
  return document as Document;
}

function duplicateKey(document: Document): string | null {
  let twice: string | null = null;
  visit(document, {
    Map(_key, map) {
      const seen = new Set<string>();
      for (const item of map.items) {
        const name = isPair(item) ? keyText(item.key as Node) : "";
        if (seen.has(name)) {
          twice = name;
          return visit.BREAK;
        }
        seen.add(name);
      }
      return undefined;
    },
  });
  return twice;
}

function keyText(key: Node): string {
  return isScalar(key) ? String(key.value) : String(key);
}

function firstLine(message: string): string {
  return message.split("\n", 1)[0] ?? message;
}
