import { messageOf } from "../error.ts";
import { BootstrapError } from "./bootstrap-error.ts";
import { MAX_DEPTH, type SourceField, type SourceItem, type SourceUse, sourceMap } from "./source-node.ts";

/**
 * Reads JSON (RFC 8259). Envoy tolerates more (trailing commas, single quotes, keys without quotes); that is
 * refused, since no two readers agree on what it means.
 * @throws BootstrapError NotJson, TooLarge, DuplicateField
 */
export function readJson(text: string): SourceUse {
  try {
    JSON.parse(text);
  } catch (error) {
    throw new BootstrapError("NotJson", `the configuration is not valid JSON: ${messageOf(error)}`, { cause: error });
  }
  return new JsonReader(text).value(1);
}

/** Places of the values in a text that is known to be valid, so that nothing is checked twice. */
class JsonReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): SourceUse {
    if (depth > MAX_DEPTH) {
      throw new BootstrapError("TooLarge", `the configuration nests deeper than ${MAX_DEPTH} levels`);
    }
    this.#skip();
    const start = this.#at;
    const first = this.#text[start];
    if (first === "{") return this.#map(start, depth);
    if (first === "[") return this.#list(start, depth);
    if (first === '"') return this.#use({ kind: "scalar", text: this.#string(), plain: false, tag: "" }, start);
    this.#at = endOf(/[^\s,\]}]*/y, this.#text, start);
    return this.#use({ kind: "scalar", text: this.#text.slice(start, this.#at), plain: true, tag: "" }, start);
  }

  #map(start: number, depth: number): SourceUse {
    const fields: SourceField[] = [];
    this.#each("}", () => {
      const keyStart = this.#at;
      const key = this.#string();
      this.#skip();
      this.#at++;
      const colon = this.#at;
      fields.push({ key, ignored: false, merge: false, start: keyStart, colon, use: this.value(depth + 1) });
    });
    return this.#use(sourceMap("flow", fields, fields[0]?.start ?? start + 1), start);
  }

  #list(start: number, depth: number): SourceUse {
    const items: SourceItem[] = [];
    this.#each("]", () => {
      items.push({ start: this.#at, use: this.value(depth + 1) });
    });
    return this.#use({ kind: "list", style: "flow", items }, start);
  }

  #each(close: string, member: () => void): void {
    this.#at++;
    this.#skip();
    while (this.#text[this.#at] !== close) {
      member();
      this.#skip();
      if (this.#text[this.#at] === ",") this.#at++;
      this.#skip();
    }
    this.#at++;
  }

  #string(): string {
    const start = this.#at;
    let at = start + 1;
    while (this.#text[at] !== '"') at += this.#text[at] === "\\" ? 2 : 1;
    this.#at = at + 1;
    return String(JSON.parse(this.#text.slice(start, this.#at)));
  }

  #skip(): void {
    this.#at = endOf(/[ \t\r\n]*/y, this.#text, this.#at);
  }

  #use(node: SourceUse["node"], start: number): SourceUse {
    return { node, start, end: this.#at };
  }
}

function endOf(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from;
  pattern.exec(text);
  return pattern.lastIndex;
}
