import type { LookupFunction } from "node:net";
import type { HttpRequest, HttpResponse } from "../http/connection.ts";
import { ConnectionPool, type Dial } from "../http/connection-pool.ts";
import { type Destination, dialPlain } from "../http/dialling.ts";
import type { SecureTerms, SessionMemory } from "../http/secure-dialling.ts";
import { TlsSessions } from "../http/tls-sessions.ts";
import { AddressGuard, type PrivateAddresses } from "./address.ts";
import { RegistryError } from "./error.ts";
import { hostnameOf } from "./hostname.ts";
import { type ProxyRoute, type ProxySettings, portOf, proxyAuthorization, proxyRoute } from "./proxy.ts";

/** How TLS with one host is spoken, where that is not by the public CAs and without a certificate of our own. */
export interface TlsSettings {
  /** PEM of the only authorities that vouch for the host. */
  readonly ca?: string | undefined;
  /** What we prove ourselves with, both PEM. */
  readonly clientCertificate?: { readonly certificate: string; readonly key: string } | undefined;
  /** Take any certificate: whoever is on the way can read and change what is said. */
  readonly insecureTls?: boolean | undefined;
}

export interface ConnectionOptions {
  /** Sockets per host. */
  readonly maxSockets: number;
  /** Until a connection, TLS included, stands. */
  readonly connectMs: number;
  /** By host, with port as URLs spell it. */
  readonly tls?: ReadonlyMap<string, TlsSettings> | undefined;
  /** Default: Allow. */
  readonly privateAddresses?: PrivateAddresses | undefined;
  /** Hosts, with port as URLs spell it, whose addresses may be private whatever holds for others. */
  readonly namedHosts?: ReadonlySet<string> | undefined;
  readonly proxy?: ProxySettings | null | undefined;
  /** How names become addresses, before the guard judges them; default: the system's resolver. */
  readonly lookup?: LookupFunction | undefined;
}

/** How a URL's host is reached. */
export interface Route {
  /** What the request asks for: the URL's path, or all of it where a proxy is asked in place of the host. */
  readonly target: string;
  /** Headers for that proxy. */
  readonly headers: Readonly<Record<string, string>>;
  send(request: HttpRequest): Promise<HttpResponse>;
}

/** Connections to one host that wait for reuse, at most. */
const MAX_IDLE = 2;
/** Hosts whose TLS sessions are remembered. */
const MAX_SESSIONS = 100;

/**
 * The connections of one client: kept open and used again, apart for each host, direct or through a proxy, and to no
 * address that the guard refuses.
 *
 * Behind a proxy it is the proxy that resolves names: the guard judges addresses that stand in URLs, and the proxy's
 * own, and what a name leads to is the proxy's to decide.
 */
export class Connections {
  readonly #options: ConnectionOptions;
  readonly #guard: AddressGuard;
  readonly #proxyGuard: AddressGuard;
  readonly #proxyOf: ProxyRoute;
  readonly #pool: ConnectionPool;
  readonly #sessions = new TlsSessions(MAX_SESSIONS);

  /** @throws {RegistryError} BadProxy */
  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { privateAddresses = "Allow", namedHosts = new Set(), proxy = null, lookup } = options;
    this.#guard = new AddressGuard(privateAddresses, namedHosts, lookup);
    // The operator named the proxy.
    this.#proxyGuard = new AddressGuard("Allow", new Set(), lookup);
    this.#proxyOf = proxyRoute(proxy);
    this.#pool = new ConnectionPool(options.maxSockets, MAX_IDLE);
  }

  /** @throws {RegistryError} ForbiddenAddress */
  routeTo(url: URL): Route {
    this.#guard.refuseLiteral(url);
    const proxy = this.#proxyOf(url);
    const target = `${url.pathname}${url.search}`;
    if (proxy === null) return this.#route(target, {}, url.origin, signal => this.#direct(url, signal));
    this.#proxyGuard.refuseLiteral(proxy);
    if (url.protocol === "https:") {
      return this.#route(target, {}, `tunnel ${url.origin}`, signal => this.#tunnelled(url, proxy, signal));
    }
    // Asked in the absolute form of RFC 9112 section 3.2.2.
    const authorization = proxyAuthorization(proxy);
    const headers = authorization === null ? {} : { "proxy-authorization": authorization };
    return this.#route(`${url.origin}${target}`, headers, `proxy ${proxy.origin}`, signal =>
      this.#proxied(proxy, signal),
    );
  }

  /** Closes the connections that wait for reuse. */
  close(): void {
    this.#pool.close();
  }

  #route(target: string, headers: Route["headers"], key: string, dial: Dial): Route {
    return { target, headers, send: request => this.#pool.exchange(key, dial, request) };
  }

  async #direct(url: URL, signal: AbortSignal) {
    const destination = this.#destination(url, this.#guard);
    if (url.protocol !== "https:") return dialPlain(destination, signal);
    const { dialSecure } = await import("../http/secure-dialling.ts");
    return dialSecure(destination, this.#terms(url), signal, { sessions: this.#session(url.origin) });
  }

  async #tunnelled(url: URL, proxy: URL, signal: AbortSignal) {
    const { connectMs } = this.#options;
    // For all of it: proxy, tunnel and TLS.
    const limit = AbortSignal.any([signal, AbortSignal.timeout(connectMs)]);
    const [{ dialSecure }, { openTunnel }] = await Promise.all([
      import("../http/secure-dialling.ts"),
      import("./tunnel.ts"),
    ]);
    try {
      const target = `${url.hostname}:${portOf(url)}`;
      const tunnel = await openTunnel(proxy, this.#destination(proxy, this.#proxyGuard), target, limit);
      const destination = this.#destination(url, this.#guard);
      return await dialSecure(destination, this.#terms(url), limit, {
        sessions: this.#session(url.origin),
        tunnel,
      });
    } catch (error) {
      if (signal.aborted || !limit.aborted) throw error;
      throw new RegistryError("Timeout", `no connection within ${connectMs} ms`);
    }
  }

  async #proxied(proxy: URL, signal: AbortSignal) {
    const destination = this.#destination(proxy, this.#proxyGuard);
    if (proxy.protocol !== "https:") return dialPlain(destination, signal);
    const { dialSecure } = await import("../http/secure-dialling.ts");
    return dialSecure(destination, {}, signal, { sessions: this.#session(`proxy ${proxy.origin}`) });
  }

  #session(place: string): SessionMemory {
    return { session: this.#sessions.get(place), keep: session => this.#sessions.keep(place, session) };
  }

  #destination(url: URL, guard: AddressGuard): Destination {
    const { connectMs } = this.#options;
    return { host: hostnameOf(url), port: portOf(url), lookup: guard.lookupFor(url.host), connectMs };
  }

  #terms({ host }: URL): SecureTerms {
    const { ca, clientCertificate, insecureTls = false } = this.#options.tls?.get(host) ?? {};
    return {
      ...(ca === undefined ? {} : { ca }),
      ...(clientCertificate ? { cert: clientCertificate.certificate, key: clientCertificate.key } : {}),
      ...(insecureTls ? { rejectUnauthorized: false } : {}),
    };
  }
}
