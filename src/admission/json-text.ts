/** A value that JSON has no form for, or a text that is longer than allowed. */
export class NotJsonError extends Error {}

/**
 * JSON text of what a YAML document holds: maps with string keys, lists, strings, numbers, big integers, booleans and
 * null. Stops as soon as the text is longer than `limit` bytes: aliases make small documents large.
 * @throws NotJsonError
 */
export function jsonText(value: unknown, limit: number): string {
  return new JsonWriter(limit).write(value);
}

class JsonWriter {
  readonly #limit: number;
  #size = 0;
  /** What the value that is being written stands in. */
  readonly #around = new Set<unknown>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  write(value: unknown): string {
    if (!(value instanceof Map) && !Array.isArray(value)) return this.#counted(scalar(value));
    if (this.#around.has(value)) throw new NotJsonError("an alias stands inside of what it repeats");
    this.#around.add(value);
    const text =
      value instanceof Map
        ? this.#joined(
            "{",
            [...value].map(([key, member]) => this.#member(key, member)),
            "}",
          )
        : this.#joined(
            "[",
            value.map(member => this.write(member)),
            "]",
          );
    this.#around.delete(value);
    return text;
  }

  #member(key: unknown, value: unknown): string {
    if (typeof key !== "string") throw new NotJsonError(`the key ${String(key)} is not text: put it in quotes`);
    return `${this.#counted(JSON.stringify(key))}:${this.write(value)}`;
  }

  #joined(open: string, parts: readonly string[], close: string): string {
    this.#count(parts.length + 2);
    return `${open}${parts.join(",")}${close}`;
  }

  #counted(text: string): string {
    this.#count(Buffer.byteLength(text));
    return text;
  }

  #count(bytes: number): void {
    this.#size += bytes;
    if (this.#size > this.#limit) throw new NotJsonError(`as JSON it has more than ${this.#limit} bytes`);
  }
}

function scalar(value: unknown): string {
  if (typeof value === "bigint") return value.toString();
  if (value === null || typeof value === "string" || typeof value === "boolean") return JSON.stringify(value);
  if (typeof value === "number" && Number.isFinite(value)) return JSON.stringify(value);
  if (typeof value === "number") throw new NotJsonError(`JSON has no number ${value}: put it in quotes`);
  throw new NotJsonError("it holds a value of a type that JSON does not have: put it in quotes");
}
