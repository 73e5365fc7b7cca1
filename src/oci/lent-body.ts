import type { IncomingMessage } from "node:http";
import { announcedSize } from "./body.ts";
import { divert, type Receiver } from "./plain-agent.ts";

const BUFFER_BYTES = 512 * 1024;
/** What is smaller is done before anything is gained, and its connection can be used again. */
const LEAST_BYTES = 2 * BUFFER_BYTES;

/**
 * The body of a response, past HTTP's parser: once the headers are read and say how long the body is, all that comes on
 * the connection is body, and goes where it is read from. Through the parser each read is a copy in fresh memory, and of
 * a large body most of the time goes into that.
 *
 * Each chunk is lent: it lies in memory that the next one overwrites. To be called as soon as the response is there,
 * before anything else is read. The parser never sees the end: the response is to be destroyed, and its connection with it.
 * @returns null where that is not possible: the body is chunked or small, or the connection speaks TLS
 */
export function lentBody(response: IncomingMessage): AsyncGenerator<Buffer, void, undefined> | null {
  const size = announcedSize(response.headers);
  if (size === null || size < LEAST_BYTES) return null;
  const body = new DivertedBody(response, size);
  return divert(response.socket, body) ? body.chunks() : null;
}

class DivertedBody implements Receiver {
  readonly #response: IncomingMessage;
  readonly #size: number;
  // One byte more than is lent: whoever gives back the memory of chunks that have it to themselves leaves this.
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES + 1).subarray(0, BUFFER_BYTES);
  /** Bytes in the buffer. */
  #filled = 0;
  /** Bytes of the body so far. */
  #received = 0;
  #failure: { readonly error: unknown } | null = null;
  #wake: () => void = () => {};

  constructor(response: IncomingMessage, size: number) {
    this.#response = response;
    this.#size = size;
  }

  room(): Buffer {
    // A full buffer is read and empty by the time that more comes.
    return this.#isFull() ? this.#buffer : this.#buffer.subarray(this.#filled);
  }

  received(length: number): boolean {
    // What follows the body is nobody's.
    const own = Math.min(length, this.#size - this.#received);
    this.#filled += own;
    this.#received += own;
    if (!this.#isFull()) return true;
    this.#wake();
    return false;
  }

  async *chunks(): AsyncGenerator<Buffer, void, undefined> {
    const response = this.#response;
    response.on("error", error => this.#fail(error)).on("close", () => this.#fail(closed()));
    // What came together with the headers went through the parser.
    const first = response.read() as Buffer | null;
    this.#received += first?.length ?? 0;
    let left = this.#size - this.#received;
    if (first !== null) yield first;
    while (left > 0) {
      const chunk = await this.#next();
      left -= chunk.length;
      yield chunk;
      this.#filled = 0;
      response.socket.resume();
    }
  }

  /** A full buffer, or what is left. */
  async #next(): Promise<Buffer> {
    while (!this.#isFull() && this.#failure === null) {
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
    if (this.#filled === 0) throw this.#failure?.error;
    return this.#buffer.subarray(0, this.#filled);
  }

  #isFull(): boolean {
    return this.#filled === BUFFER_BYTES || (this.#filled > 0 && this.#received === this.#size);
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }
}

function closed(): Error {
  return Object.assign(new Error("the connection was closed"), { code: "ECONNRESET" });
}
