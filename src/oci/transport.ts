import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { release } from "./body.ts";
import { type ConnectionOptions, Connections, type Route } from "./connections.ts";
import { RegistryError } from "./error.ts";
import { failureOf } from "./failure.ts";
import { lentBody } from "./lent-body.ts";
import { nextHop } from "./redirect.ts";

export interface TransportOptions extends Omit<ConnectionOptions, "connectMs"> {
  /** Hosts, with port, that are spoken to without TLS. Every other host is HTTPS. */
  readonly plainHosts: ReadonlySet<string>;
  readonly userAgent: string;
  readonly timeouts: Timeouts;
}

/** In milliseconds. */
export interface Timeouts {
  /** Until a connection, TLS included, stands. */
  readonly connectMs: number;
  /** Longest silence of the other side. */
  readonly idleMs: number;
}

export interface TransportRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent to the URL's own origin only, and never again once a redirect has left it. */
  readonly authorization?: string | null;
  readonly body?: RequestBody;
  /** Whether redirects are followed: never for writes, never for tokens. */
  readonly redirects: "follow" | "refuse";
  /** Whether the body may be lent: read from memory that is used again. */
  readonly lent?: boolean;
  readonly signal: AbortSignal;
}

export interface RequestBody {
  readonly size: number;
  open(): AsyncIterable<Uint8Array>;
}

export interface TransportResponse {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  /** The URL that answered, after redirects. Its query may be a secret (signed URLs). */
  readonly url: URL;
  /** Must be read to its end or destroyed. */
  readonly body: IncomingMessage;
  /** The body's chunks where they are lent; null where it is read as ever. */
  readonly lent: AsyncGenerator<Buffer, void, undefined> | null;
}

const MAX_REDIRECTS = 5;
/** Of responses whose body is what was asked for. */
const CONTENT: readonly number[] = [200, 206];

/**
 * HTTP with every hop in sight: which host is asked, by which scheme, with which credentials, at which address. Knows
 * nothing of registries.
 */
export class Transport {
  readonly #options: TransportOptions;
  readonly #connections: Connections;

  /** @throws {RegistryError} BadProxy */
  constructor(options: TransportOptions) {
    this.#options = options;
    this.#connections = new Connections({ ...options, connectMs: options.timeouts.connectMs });
  }

  /**
   * Sends a request and follows its redirects. Any final status is an answer, not an error.
   * @throws {RegistryError} Timeout, Cancelled, Unreachable, BadResponse, ForbiddenAddress, TooManyRedirects,
   *   UnsafeRedirect
   */
  async send(request: TransportRequest): Promise<TransportResponse> {
    let url = request.url;
    let authorization = request.authorization ?? null;
    for (let hops = 0; ; hops += 1) {
      const response = await this.#exchange(request, url, authorization);
      const target = nextHop(response, this.#options.plainHosts);
      if (target === null) return response;
      release(response);
      if (request.redirects === "refuse") {
        throw new RegistryError("UnsafeRedirect", `${url.host} redirects a request that must not be redirected`);
      }
      if (hops === MAX_REDIRECTS) {
        throw new RegistryError(
          "TooManyRedirects",
          `more than ${MAX_REDIRECTS} redirects, the last one by ${url.host}`,
        );
      }
      if (target.origin !== request.url.origin) authorization = null;
      url = target;
    }
  }

  /** Closes the connections that wait for reuse. */
  close(): void {
    this.#connections.close();
  }

  async #exchange(request: TransportRequest, url: URL, authorization: string | null): Promise<TransportResponse> {
    if (url.protocol !== "https:" && !this.#options.plainHosts.has(url.host)) {
      throw new RegistryError(
        "UnsafeRedirect",
        `${url.host} is not among the registries that may be spoken to without TLS`,
      );
    }
    const route = await this.#connections.routeTo(url);
    try {
      const response = await this.#dial(request, url, route, authorization);
      if (response.status !== 407) return response;
      release(response);
      throw new RegistryError("Unreachable", `a proxy before ${url.host} wants other credentials (407)`);
    } catch (error) {
      throw failureOf(error, url, request.signal);
    }
  }

  #dial(
    request: TransportRequest,
    url: URL,
    { request: open, options, secure, headers }: Route,
    authorization: string | null,
  ): Promise<TransportResponse> {
    const { method, body, signal } = request;
    const { userAgent, timeouts } = this.#options;
    return new Promise((resolve, reject) => {
      const outgoing = open(url, {
        ...options,
        method,
        signal,
        headers: {
          ...request.headers,
          ...headers,
          "user-agent": userAgent,
          // Digests are of the bytes as they are; a coding on top would only hide a bomb.
          "accept-encoding": "identity",
          ...(authorization === null ? {} : { authorization }),
          ...(body || method === "POST" ? { "content-length": String(body?.size ?? 0) } : {}),
        },
      });
      const failed = (error: unknown) => {
        outgoing.destroy();
        reject(error);
      };
      outgoing.on("error", failed);
      outgoing.on("socket", socket => limitConnecting(socket, secure, timeouts.connectMs, failed));
      let answer: IncomingMessage | null = null;
      outgoing.setTimeout(timeouts.idleMs, () => {
        // Destroying the request would lose the reason for who reads the response.
        (answer ?? outgoing).destroy(silence(timeouts.idleMs, url));
      });
      outgoing.on("response", response => {
        answer = response;
        const { statusCode: status = 0, headers } = response;
        const lent = request.lent && CONTENT.includes(status) ? lentBody(response) : null;
        resolve({ status, headers, url, body: response, lent });
      });
      // A server may answer, and close, before it has read the whole body: then its answer counts.
      if (body) pipeline(Readable.from(body.open()), outgoing).catch(error => answer ?? failed(error));
      else outgoing.end();
    });
  }
}

function silence(milliseconds: number, url: URL): RegistryError {
  return new RegistryError("Timeout", `${url.host} was silent for ${milliseconds} ms`);
}

/** Fails a request whose connection takes too long. Sockets that are reused stand already. */
function limitConnecting(socket: Socket, secure: boolean, milliseconds: number, fail: (error: Error) => void): void {
  if (!socket.connecting) return;
  const timer = setTimeout(
    () => fail(new RegistryError("Timeout", `no connection within ${milliseconds} ms`)),
    milliseconds,
  );
  const done = () => clearTimeout(timer);
  socket.once(secure ? "secureConnect" : "connect", done).once("close", done);
}
