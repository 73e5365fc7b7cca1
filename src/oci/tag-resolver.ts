import { LRUCache } from "lru-cache";
import type { RegistryClient } from "./client.ts";
import { RegistryError, type RegistryErrorCode } from "./error.ts";
import { formatReference, type Reference } from "./reference.ts";

/** Outcomes are as fresh as a person's expectation of a tag that was just pushed. */
const KEPT_MS = 5_000;
const KEPT = 4_096;

/** A tag's digest, or why there is none. */
export type ResolvedTag =
  | { readonly digest: string }
  | {
      /** In words fit for a pod's author. */
      readonly problem: string;
      /** For the operator's log alone. */
      readonly cause: string;
    };

/** What a registry itself says of a tag. Anything else tells of the network, which is none of a pod author's business. */
const SAID_BY_REGISTRY = new Set<RegistryErrorCode>(["NotFound", "Unauthorized", "Denied", "RateLimited"]);

/**
 * Resolves tags to digests inside a budget of milliseconds, one question at a time for each reference: the pods of one
 * rollout arrive together. Only success is remembered, and briefly.
 */
export class TagResolver {
  readonly #client: Pick<RegistryClient, "resolve">;
  readonly #budgetMs: number;
  readonly #known: LRUCache<string, string>;
  readonly #asking = new Map<string, Promise<ResolvedTag>>();

  constructor(client: Pick<RegistryClient, "resolve">, budgetMs: number, now: () => number = () => performance.now()) {
    this.#client = client;
    this.#budgetMs = budgetMs;
    this.#known = new LRUCache({ max: KEPT, ttl: KEPT_MS, ttlResolution: 0, perf: { now } });
  }

  async resolve(reference: Reference): Promise<ResolvedTag> {
    const name = formatReference(reference);
    const digest = this.#known.get(name);
    if (digest !== undefined) return { digest };
    let answer = this.#asking.get(name);
    if (answer === undefined) {
      answer = this.#ask(name, reference).finally(() => this.#asking.delete(name));
      this.#asking.set(name, answer);
    }
    return answer;
  }

  async #ask(name: string, reference: Reference): Promise<ResolvedTag> {
    try {
      const { digest } = await this.#client.resolve(reference, AbortSignal.timeout(this.#budgetMs));
      this.#known.set(name, digest);
      return { digest };
    } catch (error) {
      if (error instanceof RegistryError) return problemOf(error, name);
      throw error;
    }
  }
}

/** An author could else read from a denial which addresses answer inside the operator's network. */
function problemOf(error: RegistryError, name: string): ResolvedTag {
  const cause = `${error.code}: ${error.message}`;
  if (SAID_BY_REGISTRY.has(error.code)) return { problem: error.message, cause };
  return { problem: `no usable answer about ${name} came in time; the webhook's log says why`, cause };
}
