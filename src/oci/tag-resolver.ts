import { LRUCache } from "lru-cache";
import type { RegistryClient } from "./client.ts";
import { RegistryError } from "./error.ts";
import { formatReference, type Reference } from "./reference.ts";

/** Outcomes are as fresh as a person's expectation of a tag that was just pushed. */
const KEPT_MS = 5_000;
const KEPT = 4_096;

/** A tag's digest, or why there is none, in words fit for a pod's author. */
export type ResolvedTag = { readonly digest: string } | { readonly problem: string };

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
      if (error instanceof RegistryError) return { problem: error.message };
      throw error;
    }
  }
}
