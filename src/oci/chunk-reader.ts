/** A stream that ended inside of what was being read. */
export class EarlyEnd extends Error {}

/** Reads a stream of chunks by counts of bytes. Holds one chunk at a time, and copies only what `take` joins. */
export class ChunkReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next `size` bytes in one piece, or null where the stream ended before the first of them. @throws {EarlyEnd} */
  async take(size: number): Promise<Buffer | null> {
    if (!(await this.#fill())) return null;
    const first = this.#shift(size);
    if (first.length === size) return first;
    const parts = [first];
    for await (const part of this.pass(size - first.length)) parts.push(part);
    return Buffer.concat(parts, size);
  }

  /** The next `size` bytes as they come. What isn't asked for any more is not skipped. @throws {EarlyEnd} */
  async *pass(size: number): AsyncGenerator<Buffer, void, undefined> {
    for (let left = size; left > 0; ) {
      if (!(await this.#fill())) throw new EarlyEnd(`it ends ${left} bytes too early`);
      const part = this.#shift(left);
      left -= part.length;
      yield part;
    }
  }

  /** Passes over the next `size` bytes. @throws {EarlyEnd} */
  async skip(size: number): Promise<void> {
    for await (const _ of this.pass(size));
  }

  /** What is left, as it comes. */
  async *remaining(): AsyncGenerator<Buffer, void, undefined> {
    while (await this.#fill()) yield this.#shift(this.#rest.length);
  }

  /** Tells the stream that nobody wants more of it. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #fill(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#chunks.next();
      if (done) return false;
      this.#rest = value;
    }
    return true;
  }

  #shift(most: number): Buffer {
    const part = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(part.length);
    return part;
  }
}
