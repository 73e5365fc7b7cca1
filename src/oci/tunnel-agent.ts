import { request as httpRequest, type RequestOptions } from "node:http";
import { type AgentOptions, Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { LookupFunction } from "node:net";
import type { Duplex } from "node:stream";
import { type ConnectionOptions, connect as secured } from "node:tls";
import { RegistryError } from "./error.ts";
import { errorCode } from "./failure.ts";
import { hostnameOf, portOf, proxyAuthorization } from "./proxy.ts";

type Connected = (error: Error | null, socket?: Duplex) => void;

/** TLS connections through an HTTP proxy (CONNECT, RFC 9110 section 9.3.6). The proxy sees host and port, and no more. */
export class TunnelAgent extends HttpsAgent {
  readonly #proxy: URL;
  readonly #lookup: LookupFunction;
  readonly #connectMs: number;

  /**
   * @param options those of the connections to be tunnelled; the proxy's own go by the public CAs
   * @param connectMs milliseconds for all of it: proxy, tunnel and TLS
   */
  constructor(options: AgentOptions, proxy: URL, lookup: LookupFunction, connectMs: number) {
    super(options);
    this.#proxy = proxy;
    this.#lookup = lookup;
    this.#connectMs = connectMs;
  }

  override createConnection(options: RequestOptions, callback: Connected): undefined {
    let open: Duplex | null = null;
    let settled = false;
    const settle: Connected = (error, socket) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      if (error) open?.destroy();
      if (error) request.destroy();
      callback(error, socket);
    };
    const request = this.#connect(`${bracketed(String(options.host))}:${options.port}`);
    const timer = setTimeout(
      () => settle(new RegistryError("Timeout", `no connection within ${this.#connectMs} ms`)),
      this.#connectMs,
    );
    request.on("error", error => settle(this.#unreachable(`can't be reached (${errorCode(error)})`, error)));
    // A proxy that won't connect answers like any server.
    request.on("response", ({ statusCode }) => settle(this.#refused(statusCode ?? 0)));
    request.on("connect", ({ statusCode = 0 }, socket, head) => {
      open = socket;
      if (statusCode < 200 || statusCode > 299) return settle(this.#refused(statusCode));
      // What comes before our side of the handshake is not the server's.
      if (head.length > 0) return settle(this.#unreachable("sends what nobody asked for"));
      const tls = secured({ ...options, socket, path: undefined } as ConnectionOptions);
      open = tls;
      tls.once("secureConnect", () => settle(null, tls)).once("error", error => settle(error));
      tls.once("close", () => settle(this.#unreachable("closed the tunnel")));
    });
    request.end();
  }

  #connect(target: string) {
    const authorization = proxyAuthorization(this.#proxy);
    return (this.#proxy.protocol === "https:" ? httpsRequest : httpRequest)({
      method: "CONNECT",
      hostname: hostnameOf(this.#proxy),
      port: portOf(this.#proxy),
      path: target,
      lookup: this.#lookup,
      agent: false,
      headers: { host: target, ...(authorization === null ? {} : { "proxy-authorization": authorization }) },
    });
  }

  #refused(status: number): RegistryError {
    if (status === 407) return this.#unreachable("wants other credentials (407)");
    return this.#unreachable(`refuses the connection (${status})`);
  }

  #unreachable(what: string, cause?: Error): RegistryError {
    if (cause instanceof RegistryError) return cause;
    return new RegistryError("Unreachable", `the proxy ${this.#proxy.host} ${what}`, { cause });
  }
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
