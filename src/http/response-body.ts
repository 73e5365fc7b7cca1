import type { Framing } from "./framing.ts";
import type { Inbound } from "./inbound.ts";
import { messageBody } from "./message-body.ts";

/** A rest that is read for its connection to be used again. */
const MAX_DISCARDED = 8 * 1024;

/** A response's body. It is to be read to its end, discarded or destroyed. */
export interface Body {
  /**
   * What is in it, once. Each piece is lent: it lies in memory that the next one overwrites.
   * @throws {HttpError} Closed, Silent, NotHttp, the connection's errors and the signal's reason
   */
  chunks(): AsyncGenerator<Buffer, void, undefined>;
  /** Ends with it unread. Its connection is kept where the rest is short. */
  discard(): void;
  /** Ends with it, and with its connection, unless all of it was read. */
  destroy(): void;
}

/** One that comes on a connection. */
export class ResponseBody implements Body {
  readonly #inbound: Inbound;
  readonly #framing: Framing;
  #over: ((isWhole: boolean) => void) | null;
  #isDiscarded = false;

  /** @param over is told once that nobody reads on, and whether all of it was read */
  constructor(inbound: Inbound, framing: Framing, over: (isWhole: boolean) => void) {
    this.#inbound = inbound;
    this.#framing = framing;
    this.#over = over;
  }

  async *chunks(): AsyncGenerator<Buffer, void, undefined> {
    try {
      yield* messageBody(this.#inbound, this.#framing);
      this.#end(true);
    } finally {
      this.destroy();
    }
  }

  discard(): void {
    if (this.#isDiscarded) return;
    this.#isDiscarded = true;
    const framing = this.#framing;
    if (framing.kind === "length" && framing.size === 0) this.#end(true);
    else if (framing.kind === "close" || (framing.kind === "length" && framing.size > MAX_DISCARDED)) this.destroy();
    // That it fails is told by the connection's end.
    else this.#drain().catch(() => {});
  }

  destroy(): void {
    this.#end(false);
  }

  async #drain(): Promise<void> {
    let size = 0;
    for await (const { length } of this.chunks()) {
      size += length;
      if (size > MAX_DISCARDED) return;
    }
  }

  #end(isWhole: boolean): void {
    const over = this.#over;
    this.#over = null;
    over?.(isWhole);
  }
}

/** One that was read before. */
export function heldBody(bytes: Buffer): Body {
  return {
    async *chunks() {
      yield bytes;
    },
    discard() {},
    destroy() {},
  };
}
