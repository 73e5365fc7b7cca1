import { createHash, type Hash } from "node:crypto";
import { RegistryError } from "./error.ts";

/** Where a module's bytes go, in order. A write may be slow: the next one waits for it. */
export interface ModuleSink {
  /**
   * Whether it is done with a chunk when its write is: chunks may then lie in memory that is used again, and the memory of
   * others is given back at once. The garbage collector sees small objects where there are hundreds of megabytes, and is
   * in no hurry.
   */
  readonly borrows?: boolean;
  write(chunk: Buffer): Promise<void>;
}

const MAGIC = Buffer.from("\0asm", "latin1");
const CORE_VERSION = Buffer.from([1, 0, 0, 0]);
const COMPONENT_VERSION = Buffer.from([0x0d, 0, 1, 0]);

/**
 * Hashes and counts a module on its way to a sink, and stops it at the first bytes that show it is none: Envoy runs
 * core modules (binary format version 1), not components.
 */
export class MeasuredSink implements ModuleSink {
  readonly borrows: boolean;
  readonly #sink: ModuleSink;
  readonly #limit: number;
  readonly #sha256: string | Hash;
  #head = Buffer.alloc(0);
  #size = 0;

  /**
   * @param limit in bytes
   * @param known the hex sha256 that whoever writes has checked the bytes against already, or null: no byte is hashed twice
   */
  constructor(sink: ModuleSink, limit: number, known: string | null) {
    this.#sink = sink;
    this.borrows = sink.borrows ?? false;
    this.#limit = limit;
    this.#sha256 = known ?? createHash("sha256");
  }

  /** @throws {RegistryError} TooLarge, NotAModule, and whatever the sink throws */
  async write(chunk: Buffer): Promise<void> {
    this.#size += chunk.length;
    if (this.#size > this.#limit) {
      throw new RegistryError("TooLarge", `the module has more than the ${this.#limit} bytes allowed`);
    }
    if (this.#head.length < 8) {
      this.#head = Buffer.concat([this.#head, chunk.subarray(0, 8 - this.#head.length)]);
      if (this.#head.length === 8) refuseOther(this.#head);
    }
    if (typeof this.#sha256 !== "string") this.#sha256.update(chunk);
    await this.#sink.write(chunk);
    if (this.borrows) giveBack(chunk);
  }

  /** What went through: hex sha256 and size in bytes. @throws {RegistryError} NotAModule */
  finish(): { readonly moduleSha256: string; readonly moduleSize: number } {
    if (this.#head.length < 8) throw new RegistryError("NotAModule", `${this.#size} bytes are no Wasm module`);
    const moduleSha256 = typeof this.#sha256 === "string" ? this.#sha256 : this.#sha256.digest("hex");
    return { moduleSha256, moduleSize: this.#size };
  }
}

function giveBack({ byteLength, buffer }: Buffer): void {
  // Where others have a part of the same memory it is not the chunk's to give.
  if (byteLength === buffer.byteLength && buffer instanceof ArrayBuffer) buffer.transfer(0);
}

function refuseOther(head: Buffer): void {
  const version = head.subarray(4);
  if (head.subarray(0, 4).equals(MAGIC) && version.equals(CORE_VERSION)) return;
  const found = head.subarray(0, 4).equals(MAGIC)
    ? version.equals(COMPONENT_VERSION)
      ? "a Wasm component, which Envoy can't run; build a core module (wasm32-wasip1)"
      : `Wasm of an unknown version (${version.toString("hex")}); supported: 01000000`
    : `no Wasm (it starts with ${head.toString("hex")}); supported: a core module, 0061736d01000000`;
  throw new RegistryError("NotAModule", `the file is ${found}`);
}
