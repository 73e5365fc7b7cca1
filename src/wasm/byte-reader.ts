import { WasmError } from "./error.ts";
import { limits } from "./limits.ts";
import type { ModuleSource } from "./module-source.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A stretch of the module, named for messages: the whole file, or one section. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
  readonly name: string;
  /** What it means to read past the end: `Truncated` for the file, `Malformed` for a part of it. */
  readonly overrun: "Truncated" | "Malformed";
}

const smallestWindow = 64;
const largestWindow = 64 * 1024;

/**
 * Reads a stretch of a module from its start to its end through a window of at most 64 KiB, so that no size that
 * the module claims is ever allocated.
 * Numbers as in the WebAssembly core specification, section 5.2 (LEB128: no more bytes than the width needs, no
 * bit set beyond the width).
 */
export class ByteReader {
  readonly #source: ModuleSource;
  readonly #stretch: Stretch;
  #window: Uint8Array = new Uint8Array(0);
  #windowStart = 0;
  #windowSize = smallestWindow;
  #offset: number;

  constructor(source: ModuleSource, stretch: Stretch) {
    this.#source = source;
    this.#stretch = stretch;
    this.#offset = stretch.start;
  }

  /** The place of the next byte, counted from the module's start. */
  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#stretch.end - this.#offset;
  }

  /** A reader of the next `length` bytes, which this reader skips. */
  part(length: number, name: string): ByteReader {
    const start = this.#offset;
    this.skip(length, name);
    return new ByteReader(this.#source, { start, end: start + length, name, overrun: "Malformed" });
  }

  skip(length: number, what: string): void {
    if (length > this.remaining) throw this.#overrun(length, what);
    this.#offset += length;
  }

  byte(what: string): number {
    const byte = this.peek(what);
    this.#offset += 1;
    return byte;
  }

  /** The next byte, which stays the next. */
  peek(what: string): number {
    if (this.remaining < 1) throw this.#overrun(1, what);
    const byte = this.#window[this.#offset - this.#windowStart];
    if (byte !== undefined) return byte;
    this.#refill();
    const first = this.#window[0];
    if (first === undefined) throw this.#shrunk(what);
    return first;
  }

  /** An unsigned 32-bit number. */
  u32(what: string): number {
    const start = this.#offset;
    let value = 0;
    for (let shift = 0; shift <= 28; shift += 7) {
      const byte = this.byte(what);
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80 && value < 2 ** 32) return value;
      if (byte < 0x80) break;
    }
    throw this.#badNumber(what, start, 32);
  }

  /** An unsigned 64-bit number. */
  u64(what: string): bigint {
    const start = this.#offset;
    let value = 0n;
    for (let shift = 0n; shift <= 63n; shift += 7n) {
      const byte = this.byte(what);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80 && value < 1n << 64n) return value;
      if (byte < 0x80) break;
    }
    throw this.#badNumber(what, start, 64);
  }

  /** Passes over a signed number of 32 or 64 bits: constants matter to nobody here. */
  skipSigned(what: string, bits: 32 | 64): void {
    const start = this.#offset;
    const longest = Math.ceil(bits / 7);
    for (let count = 1; ; count++) {
      const byte = this.byte(what);
      if (count === longest) {
        const meaningful = bits - 7 * (longest - 1);
        const sign = (byte << (32 - 7)) >> (32 - 7 + meaningful - 1);
        if (byte >= 0x80 || (sign !== 0 && sign !== -1)) throw this.#badNumber(what, start, bits);
      }
      if (byte < 0x80) return;
    }
  }

  /**
   * The length of a vector, which may not be more than the bytes that are left (no item is smaller than a byte)
   * nor than `most`: a claimed count is never believed further than the bytes that back it.
   */
  count(what: string, most: number): number {
    const start = this.#offset;
    const count = this.u32(`the number of ${what}`);
    if (count > this.remaining)
      throw new WasmError(
        "Malformed",
        `${this.#stretch.name} claims ${count} ${what}, but only ${this.remaining} bytes follow`,
        start,
      );
    if (count > most)
      throw new WasmError(
        "OverLimit",
        `${this.#stretch.name} has ${count} ${what}; this check reads at most ${most}`,
        start,
      );
    return count;
  }

  /** A name: its length in bytes, then UTF-8. */
  name(what: string): string {
    const start = this.#offset;
    const length = this.u32(`the length of ${what}`);
    if (length > this.remaining) throw this.#overrun(length, what);
    if (length > limits.nameBytes)
      throw new WasmError(
        "OverLimit",
        `${what} is ${length} bytes long; this check reads at most ${limits.nameBytes}`,
        start,
      );
    const bytes = this.#source.read(this.#offset, length);
    if (bytes.length < length) throw this.#shrunk(what);
    this.#offset += length;
    try {
      return utf8.decode(bytes);
    } catch {
      throw new WasmError("Malformed", `${what} is not UTF-8`, start);
    }
  }

  /** Ends the stretch: whatever is left in it is an error. */
  end(): void {
    if (this.remaining > 0)
      throw new WasmError(
        "Malformed",
        `${this.#stretch.name} has ${this.remaining} bytes more than its content`,
        this.#offset,
      );
  }

  #refill(): void {
    const length = Math.min(this.#windowSize, this.remaining);
    this.#window = this.#source.read(this.#offset, length);
    this.#windowStart = this.#offset;
    this.#windowSize = Math.min(this.#windowSize * 2, largestWindow);
  }

  #badNumber(what: string, offset: number, bits: number): WasmError {
    return new WasmError("Malformed", `${what} in ${this.#stretch.name} is no LEB128 number of ${bits} bits`, offset);
  }

  #overrun(wanted: number, what: string): WasmError {
    const left = this.remaining === 1 ? "1 byte is left" : `${this.remaining} bytes are left`;
    return new WasmError(
      this.#stretch.overrun,
      `${what} needs ${wanted} ${wanted === 1 ? "byte" : "bytes"}, but ${left} in ${this.#stretch.name}`,
      this.#offset,
    );
  }

  #shrunk(what: string): WasmError {
    return new WasmError("Truncated", `the source ended before its size while reading ${what}`, this.#offset);
  }
}
