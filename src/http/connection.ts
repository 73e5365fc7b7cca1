import type { Socket } from "node:net";
import { HttpError } from "./error.ts";
import { type Framing, framingOf, staysOpen } from "./framing.ts";
import type { Inbound } from "./inbound.ts";
import { type Body, ResponseBody } from "./response-body.ts";
import { HEAD_END, HEAD_START, type Headers, MAX_HEAD_BYTES, type ResponseHead, readHead } from "./response-head.ts";

/** What is written at a time: whether the other side takes it is noticed after each. */
const SLICE_BYTES = 64 * 1024;
/** Interim responses (1xx) before the final one. */
const MAX_INTERIM = 16;
/** How long a connection waits for its next request, where the server doesn't say. */
const REST_MS = 30_000;

export interface HttpRequest {
  readonly method: string;
  /** As `requestHead` makes it. */
  readonly head: string;
  readonly body: RequestBody | null;
  /** Longest silence of the other side, in milliseconds. */
  readonly idleMs: number;
  readonly signal: AbortSignal;
}

export interface RequestBody {
  /** In bytes: as many as `open` brings. */
  readonly size: number;
  open(): AsyncIterable<Uint8Array>;
}

/** A final response. Until its body is read to its end, discarded or destroyed, the connection is its own. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

/** An HTTP/1.1 connection that stands: one exchange after the other. */
export class Connection {
  readonly #socket: Socket;
  readonly #inbound: Inbound;
  /** Longest silence of the exchange under way, in milliseconds; 0 while there is none. */
  #idleMs = 0;
  /** Bytes that had come before the exchange. */
  #before = 0;
  #sending = false;
  /** Node's own word for it comes before the event. */
  #isClosed = false;
  #isReused = false;
  /** How long the server lets it wait, in milliseconds. */
  #restMs = REST_MS;

  /** @param inbound to which the socket is attached */
  constructor(socket: Socket, inbound: Inbound) {
    this.#socket = socket;
    this.#inbound = inbound;
    socket.setNoDelay(true);
    socket.on("timeout", () => this.#timeOver());
    socket.once("close", () => {
      this.#isClosed = true;
    });
  }

  /** Whether it served a request before: the server may be closing it just now. */
  get isReused(): boolean {
    return this.#isReused;
  }

  /** Whether anything has come in the exchange. */
  get hasAnswered(): boolean {
    return this.#inbound.received > this.#before;
  }

  /** Whether another request can be sent. */
  get isUsable(): boolean {
    return this.#inbound.isQuiet && !this.#socket.destroyed && this.#restMs > 0;
  }

  onClose(closed: () => void): void {
    if (this.#isClosed) closed();
    else this.#socket.once("close", closed);
  }

  /** Waits for its next request, and keeps no process alive by it. */
  rest(): void {
    this.#isReused = true;
    this.#idleMs = 0;
    this.#socket.setTimeout(this.#restMs);
    this.#socket.unref();
  }

  destroy(error?: Error): void {
    this.#socket.destroy(error);
  }

  /**
   * @param over is told when the exchange is over, and whether another one may follow
   * @throws {HttpError}, the connection's errors and the signal's reason
   */
  async exchange(request: HttpRequest, over: (isReusable: boolean) => void): Promise<HttpResponse> {
    const { method, idleMs, signal } = request;
    const aborted = () => this.#socket.destroy(signal.reason);
    const ended = (isReusable: boolean) => {
      signal.removeEventListener("abort", aborted);
      if (!isReusable) this.#socket.destroy();
      over(isReusable && this.isUsable);
    };
    signal.addEventListener("abort", aborted, { once: true });
    this.#idleMs = idleMs;
    this.#before = this.#inbound.received;
    this.#socket.ref();
    this.#socket.setTimeout(idleMs);
    try {
      signal.throwIfAborted();
      this.#send(request);
      const head = await this.#head(method);
      const framing = framingOf(method, head);
      this.#restMs = restOf(head.headers);
      return { status: head.status, headers: head.headers, body: this.#body(head, framing, ended) };
    } catch (error) {
      ended(false);
      throw error;
    }
  }

  /** The final response's. An upgrade, which nobody asked for, is to what we don't speak. */
  async #head(method: string): Promise<ResponseHead> {
    for (let interim = 0; interim < MAX_INTERIM; interim += 1) {
      const head = readHead(await this.#inbound.through(HEAD_END, MAX_HEAD_BYTES, HEAD_START));
      if (head.status >= 200) return head;
      if (head.status === 101) throw new HttpError("NotHttp", "it changes to a protocol that nobody asked for");
      if (!staysOpen(head, framingOf(method, head))) {
        throw new HttpError("NotHttp", "it ends before its final response");
      }
    }
    throw new HttpError("NotHttp", `no final response is among the first ${MAX_INTERIM}`);
  }

  #body(head: ResponseHead, framing: Framing, ended: (isReusable: boolean) => void): ResponseBody {
    // A server that answers before it has read the request leaves the rest of it on the connection.
    return new ResponseBody(this.#inbound, framing, isWhole => {
      ended(isWhole && !this.#sending && staysOpen(head, framing));
    });
  }

  #send({ head, body }: HttpRequest): void {
    this.#socket.write(head, "latin1");
    if (body === null) return;
    this.#sending = true;
    this.#write(body).catch(error => this.#socket.destroy(error));
  }

  async #write({ size, open }: RequestBody): Promise<void> {
    const socket = this.#socket;
    let left = size;
    for await (const chunk of readable(open)) {
      left -= chunk.length;
      if (left < 0) break;
      for (let start = 0; start < chunk.length; start += SLICE_BYTES) {
        if (socket.destroyed) return;
        if (!socket.write(chunk.subarray(start, start + SLICE_BYTES))) await drained(socket);
      }
    }
    if (left !== 0) throw new HttpError("BadRequest", `the body doesn't have the ${size} bytes that were announced`);
    this.#sending = false;
  }

  /** Whether the other side has all that we had to send so far, and there is more to come. */
  #isSlow(): boolean {
    return this.#sending && this.#socket.writableLength === 0;
  }

  #timeOver(): void {
    if (this.#idleMs === 0) this.#socket.destroy();
    else if (this.#inbound.isAwaited && !this.#isSlow()) {
      this.#socket.destroy(new HttpError("Silent", `silent for ${this.#idleMs} ms`));
    } else {
      // It is we who are slow: the time counts anew.
      this.#socket.setTimeout(this.#idleMs);
    }
  }
}

/** The body's own failures, told apart from those of the connection. @throws {HttpError} NoBody */
async function* readable(open: RequestBody["open"]): AsyncIterable<Uint8Array> {
  try {
    yield* open();
  } catch (cause) {
    throw new HttpError("NoBody", "what was to be sent could not be read", { cause });
  }
}

/** How long the server leaves a connection open, less a second for what is on its way; 0 for not at all. */
function restOf(headers: Headers): number {
  const said = headers["keep-alive"]?.toLowerCase() ?? "";
  const seconds = /(?:^|[,;\s])timeout=([0-9]{1,6})/.exec(said)?.[1];
  return seconds === undefined ? REST_MS : Math.min(REST_MS, Math.max(0, Number(seconds) * 1000 - 1000));
}

/** Until the socket takes more, or nothing any longer. */
function drained(socket: Socket): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      socket.off("drain", done).off("close", done);
      resolve();
    };
    socket.on("drain", done).on("close", done);
  });
}
