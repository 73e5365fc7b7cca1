import { isIP } from "node:net";
import { readBody, refusal } from "./body.ts";
import { basicAuthorization, type IdentityToken, type PasswordCredential } from "./credentials.ts";
import { RegistryError } from "./error.ts";
import { hostnameOf } from "./hostname.ts";
import { parseObject } from "./json.ts";
import type { RegistryLimits } from "./limits.ts";
import type { Transport, TransportRequest, TransportResponse } from "./transport.ts";

export interface BearerToken {
  readonly token: string;
  /** In milliseconds since the epoch, on the clock that was passed in. */
  readonly expiresAt: number;
}

/** What a token without expires_in lives (distribution, token specification). */
const DEFAULT_LIFE_S = 60;
const MAX_LIFE_S = 3600;
/** How long before its end a token is no longer used: a request may take its time. */
const MARGIN_S = 30;
/** What a realm answers that knows only the other of the two ways to ask. */
const UNSUPPORTED: readonly number[] = [404, 405];
const CLIENT_ID = "wasmount";

export type TokenLimits = Pick<RegistryLimits, "tokenBytes" | "errorBytes">;

/** What a token is to be for. */
export interface TokenRequest {
  /** As `realmUrl` found it good. */
  readonly realm: URL;
  readonly service: string | null;
  readonly scopes: readonly string[];
}

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
  if (isIP(hostnameOf(url)) !== 0 && url.hostname !== registryUrl.hostname) {
    throw new RegistryError("BadChallenge", `${registryUrl.host} names a token realm at another address (${url.host})`);
  }
  return url;
}

/**
 * Fetches a token (distribution, "Token Authentication Specification" and "Oauth2 Token Authentication"). Nobody and
 * passwords ask with GET, identity tokens with POST; a realm that knows only the other way is asked that way, as
 * containerd does. Redirects are refused: the credential was meant for the realm.
 * @throws {RegistryError} without the realm's own words where it was shown a credential: they may repeat it
 */
export async function fetchToken(
  transport: Transport,
  request: TokenRequest,
  credential: PasswordCredential | IdentityToken | null,
  signal: AbortSignal,
  now: () => number,
  limits: TokenLimits,
): Promise<BearerToken> {
  const send = (ask: Ask) => transport.send({ ...ask, redirects: "refuse", signal });
  const [first, second] = waysToAsk(request, credential);
  let response = await send(first);
  if (second !== null && UNSUPPORTED.includes(response.status)) {
    response.body.discard();
    response = await send(second);
  }
  if (response.status !== 200) {
    const refused = ofRealm(await refusal(response, signal, now(), limits.errorBytes), response.url);
    throw credential === null ? refused : refused.withoutDetail();
  }
  try {
    return await readToken(response, signal, now, limits);
  } catch (error) {
    throw error instanceof RegistryError ? error.withoutDetail() : error;
  }
}

/** A realm that is not there says nothing of what the registry has. */
function ofRealm(refused: RegistryError, { host }: URL): RegistryError {
  if (refused.code !== "NotFound") return refused;
  const { status, detail } = refused;
  return new RegistryError("Unauthorized", `${host} gives no tokens (${status})`, { status, detail });
}

type Ask = Pick<TransportRequest, "method" | "url" | "headers" | "authorization" | "body">;

function waysToAsk(request: TokenRequest, credential: PasswordCredential | IdentityToken | null): [Ask, Ask | null] {
  if (credential === null) return [byGet(request, null), null];
  const { username } = credential;
  if (credential.kind === "password") {
    const { password } = credential;
    const form = { grant_type: "password", username, password };
    return [byGet(request, basicAuthorization(username, password)), byPost(request, form)];
  }
  const { token } = credential;
  const form = { grant_type: "refresh_token", refresh_token: token };
  return [byPost(request, form), byGet(request, basicAuthorization(username, token))];
}

function byGet({ realm, service, scopes }: TokenRequest, authorization: string | null): Ask {
  const url = new URL(realm);
  if (service !== null) url.searchParams.set("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  return { method: "GET", url, authorization };
}

function byPost({ realm, service, scopes }: TokenRequest, grant: Readonly<Record<string, string>>): Ask {
  const form = new URLSearchParams({
    ...grant,
    ...(service !== null && { service }),
    client_id: CLIENT_ID,
    scope: scopes.join(" "),
  });
  const bytes = Buffer.from(form.toString());
  return {
    method: "POST",
    url: realm,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: {
      size: bytes.length,
      async *open() {
        yield bytes;
      },
    },
  };
}

async function readToken(
  response: TransportResponse,
  signal: AbortSignal,
  now: () => number,
  { tokenBytes }: TokenLimits,
): Promise<BearerToken> {
  const body = await readBody(response, tokenBytes, "the token", signal);
  const { token, access_token: accessToken, expires_in: life } = parseObject(body, "the token", "BadResponse");
  const value = token === undefined || token === "" ? accessToken : token;
  // Visible ASCII only: it becomes a header.
  if (typeof value !== "string" || !/^[\x21-\x7e]+$/.test(value)) {
    throw new RegistryError("BadResponse", `${response.url.host} sent no usable token`);
  }
  const seconds = typeof life === "number" && life > 0 ? Math.min(life, MAX_LIFE_S) : DEFAULT_LIFE_S;
  // A token that lives no longer than the margin would be fetched for every single request.
  return { token: value, expiresAt: now() + (seconds - Math.min(MARGIN_S, seconds / 2)) * 1000 };
}
