import type { Headers } from "../http/response-head.ts";
import { RegistryError } from "./error.ts";

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly url: URL;
}

/**
 * Where a response sends us, or null where it is no redirect.
 * @throws {RegistryError} UnsafeRedirect, BadResponse
 */
export function nextHop(response: Answer, plainHosts: ReadonlySet<string>): URL | null {
  if (!REDIRECTS.includes(response.status)) return null;
  return resolveLocation(response, plainHosts);
}

/**
 * The Location of a response as a URL that may be asked next. TLS is never left, and plain HTTP only reaches hosts
 * that the operator named.
 * @throws {RegistryError} UnsafeRedirect, BadResponse
 */
export function resolveLocation({ headers, url }: Answer, plainHosts: ReadonlySet<string>): URL {
  const { location } = headers;
  if (location === undefined)
    throw new RegistryError("BadResponse", `${url.host} sends us elsewhere without a Location`);
  const target = URL.parse(location, url.href);
  if (target === null) throw new RegistryError("BadResponse", `${url.host} sends us to a Location that is no URL`);
  if (target.protocol !== "https:" && target.protocol !== "http:") {
    throw new RegistryError("UnsafeRedirect", `${url.host} redirects to a scheme that is neither https nor http`);
  }
  if (target.username !== "" || target.password !== "") {
    throw new RegistryError("UnsafeRedirect", `${url.host} redirects to a URL with credentials in it`);
  }
  if (target.protocol === "http:" && url.protocol === "https:") {
    throw new RegistryError("UnsafeRedirect", `${url.host} redirects from https to http (${target.host})`);
  }
  if (target.protocol === "http:" && !plainHosts.has(target.host)) {
    throw new RegistryError(
      "UnsafeRedirect",
      `${url.host} redirects to http://${target.host}, which is not among the registries that may be spoken to without TLS`,
    );
  }
  return target;
}
