import { LRUCache } from "lru-cache";
import { held } from "./body.ts";
import { type Challenge, readChallenge } from "./challenge.ts";
import { CredentialIdentity } from "./credential-identity.ts";
import { basicAuthorization, type Credential, type CredentialSource, MAX_CREDENTIALS } from "./credentials.ts";
import { RegistryError } from "./error.ts";
import { failureOf } from "./failure.ts";
import { mergedScopes } from "./scopes.ts";
import type { ShownSecrets } from "./shown-secrets.ts";
import { type BearerToken, fetchToken, realmUrl, type TokenLimits, type TokenRequest } from "./token.ts";
import { TokenCache } from "./token-cache.ts";
import type { Transport, TransportRequest, TransportResponse } from "./transport.ts";

/** What an operation needs to be allowed to do. */
export interface Scope {
  readonly registry: string;
  /** "" for the registry as a whole, which takes no rights. */
  readonly repository: string;
  readonly actions: "pull" | "pull,push";
  /** What was shown to the registry for it. */
  readonly shown: ShownSecrets;
}

export interface AuthorizerSettings {
  readonly credentials: CredentialSource;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly limits: TokenLimits;
}

/** One way to answer a challenge. */
interface Offer {
  readonly challenge: Challenge;
  readonly authorization: string;
  /** The token, and under which key it is kept; null for what no realm gave. */
  readonly kept: { readonly key: string; readonly token: BearerToken } | null;
}

const MAX_REMEMBERED = 1024;
/** With these a realm refuses a credential, and the next one may do. 400 is OAuth2's (RFC 6749 section 5.2). */
const REFUSED: readonly (number | null)[] = [400, 401, 403];

/**
 * Answers a registry's challenges: anonymously where no credential fits, else with one credential after the other.
 * What worked is remembered for each origin, scope and list of credentials, and tokens for each origin, realm, service,
 * scope and credential: two callers with different credentials never share anything.
 */
export class Authorizer {
  readonly #transport: Transport;
  readonly #credentials: CredentialSource;
  readonly #now: () => number;
  readonly #limits: TokenLimits;
  readonly #identity = new CredentialIdentity();
  readonly #accepted = new LRUCache<string, Offer>({ max: MAX_REMEMBERED });
  readonly #tokens: TokenCache;

  constructor(transport: Transport, { credentials, now, limits }: AuthorizerSettings) {
    this.#transport = transport;
    this.#credentials = credentials;
    this.#now = now;
    this.#limits = limits;
    this.#tokens = new TokenCache(now);
  }

  /**
   * Sends a request to the registry of the scope. A 401 or 403 in the end is returned as the answer it is.
   * @throws {RegistryError} BadChallenge, BadCredentials, Unauthorized and the wire's
   */
  async send(request: TransportRequest, scope: Scope): Promise<TransportResponse> {
    const credentials = (await this.#credentials(scope.registry, scope.repository)).slice(0, MAX_CREDENTIALS);
    const { origin, host } = request.url;
    const key = JSON.stringify([origin, scope.registry, asked(scope), this.#identity.of(credentials)]);
    const remembered = this.#remembered(key);
    let response = await this.#send(request, scope, remembered);
    // After a redirect it is another server that refuses, and it gets no credentials from us.
    if (response.url.origin !== origin) return response;
    const challenge = openChallenge(response, remembered, credentials.length);
    if (challenge === null) return response;
    this.#drop(remembered, response);
    let tried = 0;
    for await (const offer of this.#offers(challenge, request, scope, credentials)) {
      tried += 1;
      response = await this.#send(request, scope, offer);
      if (response.status !== 401 && response.status !== 403) {
        this.#accepted.set(key, offer);
        return response;
      }
      this.#drop(offer, response);
      // The next offer may be a token of the same server's, and the last answer is what counts in the end.
      response = await held(response, request.signal, this.#limits.errorBytes);
    }
    if (tried > 0) return response;
    throw new RegistryError("Unauthorized", unauthorizedText(host, challenge, credentials.length), { status: 401 });
  }

  #send(request: TransportRequest, { shown }: Scope, offer: Offer | null): Promise<TransportResponse> {
    if (offer === null) return this.#transport.send(request);
    shown.add(offer.authorization);
    return this.#transport.send({ ...request, authorization: offer.authorization });
  }

  #remembered(key: string): Offer | null {
    const offer = this.#accepted.get(key);
    if (offer === undefined) return null;
    return offer.kept === null || offer.kept.token.expiresAt > this.#now() ? offer : null;
  }

  /** A token that is refused may have been withdrawn before its end. */
  #drop(offer: Offer | null, { status }: TransportResponse): void {
    if (offer?.kept && status === 401) this.#tokens.drop(offer.kept.key, offer.kept.token);
  }

  async *#offers(
    challenge: Challenge,
    request: TransportRequest,
    scope: Scope,
    credentials: readonly Credential[],
  ): AsyncGenerator<Offer> {
    if (challenge.scheme === "basic") {
      for (const credential of credentials) {
        if (credential.kind !== "password") continue;
        const authorization = basicAuthorization(credential.username, credential.password);
        yield { challenge, authorization, kept: null };
      }
      return;
    }
    const realm = realmUrl(challenge.realm, request.url);
    const scopes = mergedScopes(asked(scope), challenge.scope);
    const wanted = { realm, service: challenge.service, scopes };
    for (const credential of credentials.length === 0 ? [null] : credentials) {
      if (credential?.kind === "registryToken") {
        yield { challenge, authorization: `Bearer ${credential.token}`, kept: null };
        continue;
      }
      const kept = await this.#token(request, wanted, credential);
      if (kept !== null) yield { challenge, authorization: `Bearer ${kept.token.token}`, kept };
    }
  }

  /** A token, and where it is kept; null where the realm refuses the credential. */
  async #token(
    { url, signal }: TransportRequest,
    wanted: TokenRequest,
    credential: Exclude<Credential, { kind: "registryToken" }> | null,
  ): Promise<Offer["kept"]> {
    const { realm, service, scopes } = wanted;
    const identity = this.#identity.of(credential === null ? [] : [credential]);
    const key = JSON.stringify([url.origin, realm.href, service, scopes, identity]);
    try {
      const token = await this.#tokens.get(key, signal, flying =>
        fetchToken(this.#transport, wanted, credential, flying, this.#now, this.#limits),
      );
      return { key, token };
    } catch (error) {
      if (signal.aborted) throw failureOf(error, realm, signal);
      if (error instanceof RegistryError && REFUSED.includes(error.status)) return null;
      throw error;
    }
  }
}

function asked({ repository, actions }: Scope): string {
  return repository === "" ? "" : `repository:${repository}:${actions}`;
}

/**
 * The challenge to answer, whose response is done with then; null where the response stands. A 401 asks for
 * credentials; a 403 asks for others, where what worked does so no longer and there are more.
 */
function openChallenge(response: TransportResponse, remembered: Offer | null, credentials: number): Challenge | null {
  const { status, headers } = response;
  if (status === 401) {
    response.body.discard();
    return readChallenge(headers["www-authenticate"]);
  }
  if (status !== 403 || remembered === null || credentials < 2) return null;
  response.body.discard();
  return remembered.challenge;
}

function unauthorizedText(host: string, { scheme }: Challenge, credentials: number): string {
  if (credentials === 0) return `${host} wants credentials and there are none for it`;
  if (scheme === "basic") return `${host} wants a user name and a password, and there are only tokens for it`;
  return credentials === 1 ? `${host} refuses the credentials` : `${host} refuses all ${credentials} credentials`;
}
