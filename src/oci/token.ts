import { isIP } from "node:net";
import { readBody, refusal } from "./body.ts";
import type { Challenge } from "./challenge.ts";
import { basicAuthorization, type Credential } from "./credentials.ts";
import { RegistryError } from "./error.ts";
import { parseObject } from "./json.ts";
import type { Transport } from "./transport.ts";

export interface BearerToken {
  readonly token: string;
  /** In milliseconds since the epoch, on the clock that was passed in. */
  readonly expiresAt: number;
}

const MAX_TOKEN_BODY = 128 * 1024;
/** What a token without expires_in lives (distribution, token specification). */
const DEFAULT_LIFE_S = 60;
const MAX_LIFE_S = 3600;
const MARGIN_S = 10;

/**
 * The realm of a challenge as a URL that may see a credential: HTTPS, or plain HTTP on the very host of a registry that
 * is itself spoken to without TLS. An address instead of a name is only believed where it is the registry's own.
 * @throws {RegistryError} BadChallenge
 */
export function realmUrl(realm: string, registryUrl: URL): URL {
  const url = URL.parse(realm);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new RegistryError("BadChallenge", `${registryUrl.host} names a token realm that is no http(s) URL`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new RegistryError("BadChallenge", `${registryUrl.host} names a token realm with credentials in it`);
  }
  if (url.protocol === "http:" && (registryUrl.protocol !== "http:" || url.host !== registryUrl.host)) {
    throw new RegistryError("BadChallenge", `${registryUrl.host} names a token realm without TLS (${url.host})`);
  }
  if (isIP(url.hostname.replace(/^\[|\]$/g, "")) !== 0 && url.hostname !== registryUrl.hostname) {
    throw new RegistryError("BadChallenge", `${registryUrl.host} names a token realm at another address (${url.host})`);
  }
  return url;
}

/**
 * Fetches a token (distribution, "Token Authentication Specification"): GET realm?service&scope, with the credential as
 * Basic or anonymously. Redirects are refused: the credential was meant for the realm.
 * @throws {RegistryError}
 */
export async function fetchToken(
  transport: Transport,
  url: URL,
  challenge: Extract<Challenge, { scheme: "bearer" }>,
  scope: string,
  credential: Credential | null,
  signal: AbortSignal,
  now: () => number,
): Promise<BearerToken> {
  const asked = new URL(url);
  if (challenge.service !== null) asked.searchParams.set("service", challenge.service);
  // The registry knows best what the path needs; several scopes go as several parameters.
  for (const one of (challenge.scope ?? scope).split(" ").slice(0, 8)) asked.searchParams.append("scope", one);
  const authorization = credential === null ? null : basicAuthorization(credential);
  const response = await transport.send({ method: "GET", url: asked, authorization, redirects: "refuse", signal });
  if (response.status !== 200) throw await refusal(response, signal, now());
  const body = await readBody(response, MAX_TOKEN_BODY, "the token", signal);
  const { token, access_token: accessToken, expires_in: life } = parseObject(body, "the token", "BadResponse");
  const value = token ?? accessToken;
  // Visible ASCII only: it becomes a header.
  if (typeof value !== "string" || !/^[\x21-\x7e]+$/.test(value)) {
    throw new RegistryError("BadResponse", `${url.host} sent no usable token`);
  }
  const seconds = typeof life === "number" && life > 0 ? Math.min(life, MAX_LIFE_S) : DEFAULT_LIFE_S;
  return { token: value, expiresAt: now() + Math.max(seconds - MARGIN_S, 1) * 1000 };
}
