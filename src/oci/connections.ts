import { type Agent as HttpAgent, request as httpRequest, type RequestOptions } from "node:http";
import type { AgentOptions, Agent as HttpsAgent } from "node:https";
import type { LookupFunction } from "node:net";
import { AddressGuard, type PrivateAddresses } from "./address.ts";
import { PlainAgent } from "./plain-agent.ts";
import { hostnameOf, type ProxyRoute, type ProxySettings, portOf, proxyAuthorization, proxyRoute } from "./proxy.ts";

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
  readonly request: typeof httpRequest;
  readonly options: RequestOptions;
  /** Whether the connection itself speaks TLS. */
  readonly secure: boolean;
  /** Headers for the proxy that is asked in place of the host. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * The connections of one client: kept open and used again, apart for each host that has TLS settings of its own, direct
 * or through a proxy, and to no address that the guard refuses.
 *
 * Behind a proxy it is the proxy that resolves names: the guard judges addresses that stand in URLs, and the proxy's
 * own, and what a name leads to is the proxy's to decide.
 */
export class Connections {
  readonly #options: ConnectionOptions;
  readonly #guard: AddressGuard;
  readonly #proxyGuard: AddressGuard;
  readonly #proxyOf: ProxyRoute;
  readonly #agents = new Map<string, HttpAgent | HttpsAgent>();

  /** @throws {RegistryError} BadProxy */
  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { privateAddresses = "Allow", namedHosts = new Set(), proxy = null, lookup } = options;
    this.#guard = new AddressGuard(privateAddresses, namedHosts, lookup);
    // The operator named the proxy.
    this.#proxyGuard = new AddressGuard("Allow", new Set(), lookup);
    this.#proxyOf = proxyRoute(proxy);
  }

  /** @throws {RegistryError} ForbiddenAddress */
  async routeTo(url: URL): Promise<Route> {
    this.#guard.refuseLiteral(url);
    const proxy = this.#proxyOf(url);
    if (proxy === null) return this.#direct(url);
    this.#proxyGuard.refuseLiteral(proxy);
    return url.protocol === "https:" ? this.#tunnelled(url, proxy) : this.#forwarded(url, proxy);
  }

  /** Closes the connections that wait for reuse. */
  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
  }

  async #direct(url: URL): Promise<Route> {
    const lookup = this.#guard.lookupFor(url.host);
    if (url.protocol !== "https:") {
      const agent = this.#agent("http", () => new PlainAgent(this.#pool()));
      return { request: httpRequest, options: { agent, lookup }, secure: false, headers: {} };
    }
    const { SecureAgent, secureRequest } = await import("./secure-connections.ts");
    const agent = this.#agent(`https ${this.#tlsKey(url)}`, () => new SecureAgent(this.#agentOptions(url)));
    return { request: secureRequest, options: { agent, lookup }, secure: true, headers: {} };
  }

  async #tunnelled(url: URL, proxy: URL): Promise<Route> {
    const { TunnelAgent, secureRequest } = await import("./secure-connections.ts");
    const make = () => {
      const lookup = this.#proxyGuard.lookupFor(proxy.host);
      return new TunnelAgent(this.#agentOptions(url), proxy, lookup, this.#options.connectMs);
    };
    const agent = this.#agent(`tunnel ${this.#tlsKey(url)}`, make);
    return { request: secureRequest, options: { agent }, secure: true, headers: {} };
  }

  /** Asked in the absolute form of RFC 9112 section 3.2.2. */
  async #forwarded(url: URL, proxy: URL): Promise<Route> {
    const { protocol } = proxy;
    const tls = protocol === "https:" ? await import("./secure-connections.ts") : null;
    const agent = this.#agent(`proxy ${protocol}`, () =>
      tls ? new tls.SecureAgent(this.#pool()) : new PlainAgent(this.#pool()),
    );
    const authorization = proxyAuthorization(proxy);
    return {
      request: tls?.secureRequest ?? httpRequest,
      secure: tls !== null,
      options: {
        agent,
        protocol,
        hostname: hostnameOf(proxy),
        port: portOf(proxy),
        path: `${url.origin}${url.pathname}${url.search}`,
        lookup: this.#proxyGuard.lookupFor(proxy.host),
      },
      headers: { host: url.host, ...(authorization === null ? {} : { "proxy-authorization": authorization }) },
    };
  }

  #agent(key: string, make: () => HttpAgent | HttpsAgent): HttpAgent | HttpsAgent {
    const known = this.#agents.get(key);
    if (known) return known;
    const made = make();
    this.#agents.set(key, made);
    return made;
  }

  #tlsKey({ host }: URL): string {
    return this.#options.tls?.has(host) ? host : "";
  }

  #agentOptions({ host }: URL): AgentOptions {
    const { ca, clientCertificate, insecureTls = false } = this.#options.tls?.get(host) ?? {};
    return {
      ...this.#pool(),
      ...(ca === undefined ? {} : { ca }),
      ...(clientCertificate ? { cert: clientCertificate.certificate, key: clientCertificate.key } : {}),
      ...(insecureTls ? { rejectUnauthorized: false } : {}),
    };
  }

  #pool() {
    return { keepAlive: true, maxSockets: this.#options.maxSockets, maxFreeSockets: 2 };
  }
}
