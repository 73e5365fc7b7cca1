import { LRUCache } from "lru-cache";
import { SingleFlight } from "./single-flight.ts";
import type { BearerToken } from "./token.ts";

const MAX_TOKENS = 1024;

/** Tokens until they end, each fetched once however many ask for it at the same time. */
export class TokenCache {
  readonly #tokens = new LRUCache<string, BearerToken>({ max: MAX_TOKENS });
  readonly #fetching = new SingleFlight<BearerToken>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** @param key names what the token is for, and whose it is: who has the same key gets the same token */
  async get(
    key: string,
    signal: AbortSignal,
    fetch: (signal: AbortSignal) => Promise<BearerToken>,
  ): Promise<BearerToken> {
    const kept = this.#tokens.get(key);
    if (kept && kept.expiresAt > this.#now()) return kept;
    return this.#fetching.join(key, signal, async flying => {
      const token = await fetch(flying);
      this.#tokens.set(key, token);
      return token;
    });
  }

  /** Forgets a token that was refused, unless another has taken its place. */
  drop(key: string, token: BearerToken): void {
    if (this.#tokens.get(key) === token) this.#tokens.delete(key);
  }
}
