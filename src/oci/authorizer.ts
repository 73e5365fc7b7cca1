import { createHmac, randomBytes } from "node:crypto";
import { LRUCache } from "lru-cache";
import { release } from "./body.ts";
import { readChallenge } from "./challenge.ts";
import { basicAuthorization, type Credential, type CredentialSource, MAX_CREDENTIALS } from "./credentials.ts";
import { RegistryError } from "./error.ts";
import { fetchToken, realmUrl } from "./token.ts";
import type { Transport, TransportRequest, TransportResponse } from "./transport.ts";

/** What an operation needs to be allowed to do. */
export interface Scope {
  readonly registry: string;
  readonly repository: string;
  readonly actions: "pull" | "pull,push";
}

interface Accepted {
  readonly authorization: string;
  readonly expiresAt: number;
}

interface Offer extends Accepted {
  readonly key: string;
}

/**
 * Answers a registry's challenges: anonymously where no credential fits, else with one credential after the other.
 * What worked is remembered per registry, scope and credentials, so that two callers with different credentials never
 * share a token.
 */
export class Authorizer {
  readonly #transport: Transport;
  readonly #credentials: CredentialSource;
  readonly #now: () => number;
  readonly #accepted = new LRUCache<string, Accepted>({ max: 256 });
  // Keys of the cache must not be a way to guess passwords offline, should they ever be dumped.
  readonly #secret = randomBytes(32);

  constructor(transport: Transport, credentials: CredentialSource, now: () => number) {
    this.#transport = transport;
    this.#credentials = credentials;
    this.#now = now;
  }

  /**
   * Sends a request to the registry of the scope. A 401 or 403 in the end is returned as the answer it is.
   * @throws {RegistryError} BadChallenge, Unauthorized and the wire's
   */
  async send(request: TransportRequest, scope: Scope): Promise<TransportResponse> {
    const credentials = this.#credentials(scope.registry, scope.repository).slice(0, MAX_CREDENTIALS);
    const key = this.#keyOf(scope, credentials);
    let response = await this.#transport.send({ ...request, authorization: this.#remembered(key) });
    // After a redirect it is another server that refuses, and it gets no credentials from us.
    if (response.status !== 401 || response.url.origin !== request.url.origin) return response;
    release(response);
    let tried = 0;
    for await (const offer of this.#offers(response, request, scope, credentials, key)) {
      tried += 1;
      release(response);
      response = await this.#transport.send({ ...request, authorization: offer.authorization });
      if (response.status !== 401 && response.status !== 403) {
        this.#accepted.set(offer.key, offer);
        return response;
      }
    }
    if (tried > 0) return response;
    throw new RegistryError("Unauthorized", unauthorizedText(request.url.host, credentials.length), { status: 401 });
  }

  #remembered(key: string): string | null {
    const accepted = this.#accepted.get(key);
    return accepted && accepted.expiresAt > this.#now() ? accepted.authorization : null;
  }

  async *#offers(
    response: TransportResponse,
    request: TransportRequest,
    scope: Scope,
    credentials: readonly Credential[],
    key: string,
  ): AsyncGenerator<Offer> {
    const challenge = readChallenge(response.headers["www-authenticate"]);
    if (challenge.scheme === "basic") {
      for (const credential of credentials) {
        yield { key, authorization: basicAuthorization(credential), expiresAt: Number.POSITIVE_INFINITY };
      }
      return;
    }
    const realm = realmUrl(challenge.realm, request.url);
    const wanted = `repository:${scope.repository}:${scope.actions}`;
    for (const credential of credentials.length === 0 ? [null] : credentials) {
      try {
        const { signal } = request;
        const bearer = await fetchToken(this.#transport, realm, challenge, wanted, credential, signal, this.#now);
        yield { key, authorization: `Bearer ${bearer.token}`, expiresAt: bearer.expiresAt };
      } catch (error) {
        // This credential is not the realm's; the next may be.
        if (!(error instanceof RegistryError) || !["Unauthorized", "Denied"].includes(error.code)) throw error;
      }
    }
  }

  #keyOf({ registry, repository, actions }: Scope, credentials: readonly Credential[]): string {
    const parts = JSON.stringify([registry, repository, actions, credentials]);
    return createHmac("sha256", this.#secret).update(parts).digest("base64");
  }
}

function unauthorizedText(host: string, credentials: number): string {
  if (credentials === 0) return `${host} wants credentials and there are none for it`;
  return credentials === 1 ? `${host} refuses the credentials` : `${host} refuses all ${credentials} credentials`;
}
