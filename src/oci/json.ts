import { messageOf } from "../error.ts";
import { isRecord, quoted } from "./descriptor.ts";
import { RegistryError, type RegistryErrorCode } from "./error.ts";

const MAX_DEPTH = 32;
/** So many are read in a tenth of a second: in a webhook all others wait for it. The longest lists of use have a few thousand. */
const MAX_MEMBERS = 100_000;
const WHITESPACE = [" ", "\n", "\r", "\t"];

/**
 * Parses a stranger's JSON object so that no other reader can see different content in the same bytes: strict UTF-8,
 * no duplicate keys (parsers disagree on which one counts; keys that differ only in case are one key to Go's decoder),
 * bounded nesting, bounded numbers of members.
 * @param what how the message calls the document, such as "the manifest"
 * @throws {RegistryError} with the code given
 */
export function parseObject(
  bytes: Uint8Array,
  what: string,
  code: RegistryErrorCode = "BadManifest",
): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const fault = structureFault(text);
    if (fault !== null) throw new RegistryError(code, `${what} ${fault}`);
    value = JSON.parse(text);
  } catch (cause) {
    if (cause instanceof RegistryError) throw cause;
    // The cause of a JSON.parse failure quotes the stranger's text; only its kind is told.
    const kind = cause instanceof SyntaxError ? "is not JSON" : "is not UTF-8";
    throw new RegistryError(code, `${what} ${kind}`, { detail: quoted(messageOf(cause)) });
  }
  if (!isRecord(value)) throw new RegistryError(code, `${what} is not a JSON object`);
  return value;
}

/** What is wrong with the size, the nesting or the keys of a text, or null; of what is no JSON, anything. Reads it once. */
function structureFault(text: string): string | null {
  const scopes = new Scopes();
  let fault: string | null = null;
  for (let at = 0; at < text.length && fault === null; at += 1) {
    const character = text[at];
    if (character === '"') {
      const end = endOfString(text, at);
      if (isKey(text, end)) fault = scopes.key(text.slice(at + 1, end));
      at = end;
    } else if (character === "{" || character === "[") fault = scopes.open(character === "{");
    else if (character === "}" || character === "]") scopes.close();
    else if (character === ",") fault = scopes.member();
  }
  return fault;
}

/** The objects and lists that are open. What is wrong with one more thing in them is told by each. */
class Scopes {
  /** The keys of an object; null for a list. */
  readonly #open: (Set<string> | null)[] = [];
  #members = 0;

  open(isObject: boolean): string | null {
    const depth = this.#open.push(isObject ? new Set() : null);
    return depth > MAX_DEPTH ? `is nested more than ${MAX_DEPTH} levels deep` : this.member();
  }

  close(): void {
    this.#open.pop();
  }

  member(): string | null {
    this.#members += 1;
    return this.#members > MAX_MEMBERS ? `has more than ${MAX_MEMBERS} members and elements` : null;
  }

  key(text: string): string | null {
    const key = unescaped(text);
    const folded = key.toLowerCase();
    const keys = this.#open.at(-1);
    if (keys?.has(folded)) return `has the key ${quoted(key)} twice in one object`;
    keys?.add(folded);
    return null;
  }
}

/** Where the string that begins at `start` has its second quote: without one, the text's end. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text[end - 1 - escapes] === "\\") escapes += 1;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}

/** Whether a string is followed by a colon. */
function isKey(text: string, end: number): boolean {
  let next = end + 1;
  while (WHITESPACE.includes(text[next] ?? ":")) next += 1;
  return text[next] === ":";
}

function unescaped(text: string): string {
  if (!text.includes("\\")) return text;
  try {
    return JSON.parse(`"${text}"`);
  } catch {
    // It will be refused as a whole.
    return text;
  }
}
