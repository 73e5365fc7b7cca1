import { BlockList, isIP } from "node:net";
import { RegistryError } from "./error.ts";
import { hostnameOf } from "./hostname.ts";

/** Which requests go through an HTTP proxy. URLs may hold the proxy's user name and password, and are never shown. */
export interface ProxySettings {
  /** For http: URLs, such as "http://proxy.example:3128"; null for none. */
  readonly http: string | null;
  /** For https: URLs, through a tunnel (CONNECT). The proxy itself may be an http: or https: URL. */
  readonly https: string | null;
  /**
   * What is reached directly, as Go's programs read NO_PROXY: host names (a domain stands for what is below it too,
   * ".domain" for that alone), addresses, CIDR ranges, each with a port if need be; "*" for everything.
   */
  readonly no: string;
}

/** The proxy for a URL, or null where it is reached directly. */
export type ProxyRoute = (url: URL) => URL | null;

/**
 * The settings by the conventions of HTTPS_PROXY, HTTP_PROXY and NO_PROXY, the lower-case name before the other.
 * @returns null where there are none
 */
export function proxyFromEnvironment(environment: Readonly<Record<string, string | undefined>>): ProxySettings | null {
  const value = (name: string) => environment[name] || environment[name.toUpperCase()] || null;
  const [http, https] = [value("http_proxy"), value("https_proxy")];
  return http === null && https === null ? null : { http, https, no: value("no_proxy") ?? "" };
}

/** @throws {RegistryError} BadProxy */
export function proxyRoute(settings: ProxySettings | null): ProxyRoute {
  if (settings === null) return () => null;
  const [http, https] = [readProxy(settings.http), readProxy(settings.https)];
  const exceptions = readExceptions(settings.no);
  return url => {
    const proxy = url.protocol === "https:" ? https : http;
    if (proxy === null || isLoopback(hostnameOf(url))) return null;
    return exceptions.some(matches => matches(hostnameOf(url), portOf(url))) ? null : proxy;
  };
}

/** The value of Proxy-Authorization (RFC 9110 section 11.7.2), or null where the URL holds no credentials. */
export function proxyAuthorization({ username, password }: URL): string | null {
  if (username === "" && password === "") return null;
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return `Basic ${Buffer.from(pair).toString("base64")}`;
}

/** The port of a URL, written out. */
export function portOf({ port, protocol }: URL): number {
  if (port !== "") return Number(port);
  return protocol === "https:" ? 443 : 80;
}

function readProxy(text: string | null): URL | null {
  if (text === null) return null;
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  // The text itself stays out of the message: it may hold a password.
  if (url === null) throw bad("the proxy is no URL");
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw bad(`the proxy ${url.host} is spoken to by ${url.protocol.slice(0, -1)}; supported are http and https`);
  }
  if (url.hostname === "" || !["", "/"].includes(url.pathname) || url.search !== "" || url.hash !== "") {
    throw bad(`the proxy's URL must have a host and nothing behind it (${url.host})`);
  }
  try {
    proxyAuthorization(url);
  } catch {
    throw bad(`the user name or password of the proxy ${url.host} is not percent-encoded UTF-8`);
  }
  return url;
}

type Exception = (host: string, port: number) => boolean;

function readExceptions(text: string): readonly Exception[] {
  return text
    .split(/[\s,]+/)
    .filter(entry => entry !== "")
    .map(entry => readException(entry.toLowerCase()));
}

function readException(entry: string): Exception {
  if (entry === "*") return () => true;
  const range = /^\[?([0-9a-f.:]+)\]?\/(\d{1,3})$/.exec(entry);
  if (range) return inRange(range[1] ?? "", Number(range[2]));
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*|.*:.*:.*))(?::(\d+))?$/.exec(entry) ?? [];
  const host = (bracketed ?? plain ?? "").replace(/^\*(?=\.)/, "");
  const below = host.startsWith(".") ? host : `.${host}`;
  return (found, foundPort) =>
    (port === undefined || Number(port) === foundPort) &&
    (found === host || (isIP(found) === 0 && found.endsWith(below)));
}

function inRange(network: string, bits: number): Exception {
  const family = isIP(network);
  if (family === 0 || bits > (family === 6 ? 128 : 32)) return () => false;
  const list = new BlockList();
  list.addSubnet(network, bits, family === 6 ? "ipv6" : "ipv4");
  return host => isIP(host) !== 0 && list.check(host, isIP(host) === 6 ? "ipv6" : "ipv4");
}

/** Never through a proxy: its loopback is not ours. */
function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function bad(message: string): RegistryError {
  return new RegistryError("BadProxy", message);
}
