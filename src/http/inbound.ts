import type { OnReadOpts, Socket } from "node:net";
import { HttpError } from "./error.ts";

/** Of each half, in bytes: for heads and small bodies, and once a large body is read. */
const SMALL_BYTES = 64 * 1024;
const LARGE_BYTES = 512 * 1024;
const LINE_FEED = 0x0a;
/** What one read may bring while both halves are full. */
const SPILL_BYTES = 64 * 1024;

/**
 * What comes on a socket, asked for piece by piece. It is read into one buffer of the connection's own: Node allocates
 * 64 KiB for every read otherwise, and for a large blob most of the time then goes into fresh memory.
 *
 * The buffer has two halves. While one is read from, the other one is filled; when that is full, too, the socket is not
 * read from until the first one is free: a slow reader slows the sender. What comes all the same lies elsewhere until
 * then: TLS gives all that it has decrypted, whoever asked it to stop.
 */
export class Inbound {
  readonly #halves: [Buffer, Buffer] = [memory(SMALL_BYTES), memory(SMALL_BYTES)];
  /** What halves should have. */
  #size = SMALL_BYTES;
  /** The half that is read from, and from where. Where it is not the one that is written to, it is filled to its end. */
  #reading: 0 | 1 = 0;
  #start = 0;
  /** The half that is written to, and up to where it is filled. */
  #writing: 0 | 1 = 0;
  #end = 0;
  /** Whether both are full. */
  #isFull = false;
  #received = 0;
  /** Where the next read goes instead, and what came so. */
  #spill: Buffer | null = null;
  #left: Buffer[] = [];
  #ended = false;
  #failure: { readonly error: unknown } | null = null;
  #socket: Socket | null = null;
  /** How many bytes are waited for; 0 for none. */
  #wanted = 0;
  #wake: () => void = () => {};

  /** For the socket's making. Node asks after each read where the next one goes. */
  readonly onread: OnReadOpts = {
    buffer: () => this.#room(),
    callback: (length, buffer) => {
      if (buffer === this.#spill) this.#copy(this.#spill.subarray(0, length));
      else this.#come(length);
      return !this.#isFull;
    },
  };

  /** @param isCopied for a socket that wasn't made with `onread` */
  attach(socket: Socket, isCopied = false): void {
    this.#socket = socket;
    if (isCopied) {
      socket.on("data", (chunk: Buffer) => {
        this.#copy(chunk);
        if (this.#isFull) socket.pause();
      });
    }
    socket
      .on("end", () => this.#finish(null))
      .on("error", error => this.#finish({ error }))
      // Without an end, it was we who closed it.
      .on("close", () => this.#finish({ error: closed() }));
    socket.resume();
  }

  /** Bytes, since the connection began. */
  get received(): number {
    return this.#received;
  }

  /** Whether nothing has come that nobody asked for, and more may. */
  get isQuiet(): boolean {
    const isEmpty = this.#reading === this.#writing ? this.#start === this.#end : this.#isRead() && this.#end === 0;
    return isEmpty && !this.#ended;
  }

  /** Whether somebody waits for what is to come. */
  get isAwaited(): boolean {
    return this.#wanted > 0;
  }

  /** So many bytes are to come: for a large body pieces are larger, since each of them takes its time. */
  expect(size: number): void {
    this.#size = size > LARGE_BYTES ? LARGE_BYTES : SMALL_BYTES;
  }

  /**
   * The text up to a mark and with it, one character a byte.
   * @param limit in bytes, with the mark
   * @param start what it must begin with: who says something else may wait for us, and is not waited for
   * @throws {HttpError} Closed, NotHttp, and the connection's own errors
   */
  async through(mark: string, limit: number, start = ""): Promise<string> {
    let text = "";
    for (;;) {
      const bytes = await this.some(LARGE_BYTES, 1);
      if (bytes.length === 0) throw closed();
      const known = text.length;
      text += bytes.toString("latin1", 0, Math.min(bytes.length, limit - known));
      if (!start.startsWith(text.slice(0, start.length))) {
        throw new HttpError("NotHttp", `it doesn't begin with ${start}`);
      }
      const end = text.indexOf(mark, Math.max(0, known - mark.length + 1));
      if (end >= 0) {
        // What lies behind it is for the next one who asks.
        this.#start -= bytes.length - (end + mark.length - known);
        return text.slice(0, end + mark.length);
      }
      if (text.length >= limit) throw new HttpError("NotHttp", `it has no end within ${limit} bytes`);
    }
  }

  /** A line, with its end, where all of it is there: most chunks are, and who waits for nothing is not made to. */
  line(limit: number): string | null {
    this.#turn();
    const bytes = this.#halves[this.#reading].subarray(this.#start, this.#filled());
    const length = bytes.indexOf(LINE_FEED) + 1;
    if (length === 0 || length > limit) return null;
    this.#start += length;
    return bytes.toString("latin1", 0, length);
  }

  /**
   * The next bytes: lent, until the next ones are asked for.
   * @param limit at most so many
   * @param least waits for so many, or for half a buffer
   * @returns none where the other side has ended
   * @throws the connection's error, once all that came before it is taken
   */
  async some(limit: number, least = limit): Promise<Buffer> {
    this.#turn();
    if (!this.#has(least)) {
      this.#wanted = least;
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
      this.#wanted = 0;
    }
    const end = this.#filled();
    if (this.#start === end && this.#failure) throw this.#failure.error;
    const start = this.#start;
    this.#start = Math.min(end, start + limit);
    return this.#halves[this.#reading].subarray(start, this.#start);
  }

  /** Goes over to the other half where this one is read: what was lent of it is done with. */
  #turn(): void {
    if (this.#reading === this.#writing || !this.#isRead()) return;
    this.#reading = this.#writing;
    this.#start = 0;
    if (!this.#isFull) return;
    this.#isFull = false;
    this.#writeOther();
    for (const chunk of this.#left.splice(0)) this.#copy(chunk);
    if (!this.#isFull) this.#socket?.resume();
  }

  #room(): Buffer {
    this.#spill = this.#isFull ? Buffer.allocUnsafeSlow(SPILL_BYTES) : null;
    return this.#spill ?? this.#space();
  }

  #space(): Buffer {
    return this.#halves[this.#writing].subarray(this.#end);
  }

  #come(length: number): void {
    this.#end += length;
    this.#received += length;
    if (this.#end === this.#halves[this.#writing].length) {
      if (this.#reading === this.#writing) this.#writeOther();
      else this.#isFull = true;
    }
    if (this.#wanted > 0 && this.#has(this.#wanted)) this.#wake();
  }

  #copy(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0 && !this.#isFull) {
      const length = rest.copy(this.#space());
      rest = rest.subarray(length);
      this.#come(length);
    }
    if (rest.length > 0) this.#left.push(rest);
  }

  #writeOther(): void {
    this.#writing = other(this.#writing);
    this.#end = 0;
    if (this.#halves[this.#writing].length !== this.#size) this.#halves[this.#writing] = memory(this.#size);
  }

  #has(wanted: number): boolean {
    return this.#reading !== this.#writing || this.#end - this.#start >= wanted || this.#ended;
  }

  /** Up to where the half that is read from is filled. */
  #filled(): number {
    return this.#reading === this.#writing ? this.#end : this.#halves[this.#reading].length;
  }

  #isRead(): boolean {
    return this.#start === this.#filled();
  }

  #finish(failure: { readonly error: unknown } | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = failure;
    this.#wake();
  }
}

/** Not all of what it lies in: whoever gives back the memory of pieces that have theirs to themselves leaves this. */
function memory(size: number): Buffer {
  return Buffer.allocUnsafeSlow(size + 1).subarray(0, size);
}

function closed(): HttpError {
  return new HttpError("Closed", "the connection was closed");
}

function other(half: 0 | 1): 0 | 1 {
  return half === 0 ? 1 : 0;
}
