import type { HttpRequest, HttpResponse, RequestBody } from "../http/connection.ts";
import { requestHead } from "../http/request-head.ts";
import { type ConnectionOptions, Connections, type Route } from "./connections.ts";
import { RegistryError } from "./error.ts";
import { failureOf } from "./failure.ts";
import type { RegistryLimits } from "./limits.ts";
import { nextHop } from "./redirect.ts";

export interface TransportOptions extends Omit<ConnectionOptions, "connectMs" | "maxSockets"> {
  /** Hosts, with port, that are spoken to without TLS. Every other host is HTTPS. */
  readonly plainHosts: ReadonlySet<string>;
  readonly userAgent: string;
  readonly timeouts: Timeouts;
  readonly limits: Pick<RegistryLimits, "redirects" | "connections">;
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
  readonly body?: RequestBody | null;
  /** Whether redirects are followed: never for writes, never for tokens. */
  readonly redirects: "follow" | "refuse";
  readonly signal: AbortSignal;
}

export interface TransportResponse extends HttpResponse {
  /** The URL that answered, after redirects. Its query may be a secret (signed URLs). */
  readonly url: URL;
}

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
    const { timeouts, limits } = options;
    this.#connections = new Connections({
      ...options,
      connectMs: timeouts.connectMs,
      maxSockets: limits.connections,
    });
  }

  /**
   * Sends a request and follows its redirects. Any final status is an answer, not an error.
   * @throws {RegistryError} Timeout, Cancelled, Unreachable, BadResponse, ForbiddenAddress, TooManyRedirects,
   *   UnsafeRedirect
   */
  async send(request: TransportRequest): Promise<TransportResponse> {
    const { redirects } = this.#options.limits;
    let url = request.url;
    let authorization = request.authorization ?? null;
    for (let hops = 0; ; hops += 1) {
      const response = await this.#exchange(request, url, authorization);
      const target = this.#nextHop(response);
      if (target === null) return response;
      response.body.discard();
      if (request.redirects === "refuse") {
        throw new RegistryError("UnsafeRedirect", `${url.host} redirects a request that must not be redirected`);
      }
      if (hops === redirects) {
        throw new RegistryError("TooManyRedirects", `more than ${redirects} redirects, the last one by ${url.host}`);
      }
      if (target.origin !== request.url.origin) authorization = null;
      url = target;
    }
  }

  /** Closes the connections that wait for reuse. */
  close(): void {
    this.#connections.close();
  }

  #nextHop(response: TransportResponse): URL | null {
    try {
      return nextHop(response, this.#options.plainHosts);
    } catch (error) {
      response.body.discard();
      throw error;
    }
  }

  async #exchange(request: TransportRequest, url: URL, authorization: string | null): Promise<TransportResponse> {
    if (url.protocol !== "https:" && !this.#options.plainHosts.has(url.host)) {
      throw new RegistryError(
        "UnsafeRedirect",
        `${url.host} is not among the registries that may be spoken to without TLS`,
      );
    }
    const route = this.#connections.routeTo(url);
    try {
      const { status, headers, body } = await route.send(this.#request(request, url, route, authorization));
      if (status !== 407) return { status, headers, body, url };
      body.discard();
      throw new RegistryError("Unreachable", `a proxy before ${url.host} wants other credentials (407)`);
    } catch (error) {
      throw failureOf(error, url, request.signal);
    }
  }

  #request(
    { method, headers, body = null, signal }: TransportRequest,
    url: URL,
    route: Route,
    authorization: string | null,
  ): HttpRequest {
    const { userAgent, timeouts } = this.#options;
    const head = requestHead(method, route.target, {
      host: url.host,
      ...headers,
      ...route.headers,
      "user-agent": userAgent,
      // Digests are of the bytes as they are; a coding on top would only hide a bomb.
      "accept-encoding": "identity",
      ...(authorization === null ? {} : { authorization }),
      ...(body || method === "POST" ? { "content-length": String(body?.size ?? 0) } : {}),
    });
    return { method, head, body, idleMs: timeouts.idleMs, signal };
  }
}
