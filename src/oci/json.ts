import { messageOf } from "../error.ts";
import { isRecord, quoted } from "./descriptor.ts";
import { RegistryError, type RegistryErrorCode } from "./error.ts";

const MAX_DEPTH = 32;

/**
 * Parses a stranger's JSON object so that no other reader can see different content in the same bytes: strict UTF-8,
 * no duplicate keys (parsers disagree on which one counts; keys that differ only in case are one key to Go's decoder),
 * bounded nesting.
 * @param what how the message calls the document, such as "the manifest"
 * @throws {RegistryError} with the code given
 */
export function parseObject(
  bytes: Uint8Array,
  what: string,
  code: RegistryErrorCode = "BadManifest",
): Readonly<Record<string, unknown>> {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (cause) {
    // The cause of a JSON.parse failure quotes the stranger's text; only its kind is told.
    const kind = cause instanceof SyntaxError ? "is not JSON" : "is not UTF-8";
    throw new RegistryError(code, `${what} ${kind}`, { detail: quoted(messageOf(cause)) });
  }
  if (!isRecord(value)) throw new RegistryError(code, `${what} is not a JSON object`);
  const fault = keyFault(text);
  if (fault !== null) throw new RegistryError(code, `${what} ${fault}`);
  return value;
}

// Strings first: what looks like structure inside them is none.
const TOKENS = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/g;

/** What is wrong with the keys or the nesting of a text that is known to be JSON, or null. */
function keyFault(text: string): string | null {
  const scopes: Set<string>[] = [];
  for (const [token, colon] of text.matchAll(TOKENS)) {
    if (token === "{" || token === "[") {
      if (scopes.push(new Set()) > MAX_DEPTH) return `is nested more than ${MAX_DEPTH} levels deep`;
    } else if (token === "}" || token === "]") {
      scopes.pop();
    } else if (colon !== undefined) {
      const key: unknown = JSON.parse(token.slice(0, -colon.length));
      const folded = String(key).toLowerCase();
      if (scopes.at(-1)?.has(folded)) return `has the key ${quoted(String(key))} twice in one object`;
      scopes.at(-1)?.add(folded);
    }
  }
  return null;
}
