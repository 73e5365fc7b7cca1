import type { RegistryClient } from "./client.ts";
import { RegistryError, type RegistryErrorCode } from "./error.ts";
import { formatReference, type Reference } from "./reference.ts";

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
 * rollout arrive together. Nothing is remembered: who moves a tag and then rolls out expects what it means now.
 */
export class TagResolver {
  readonly #client: Pick<RegistryClient, "resolve">;
  readonly #budgetMs: number;
  readonly #asking = new Map<string, Promise<ResolvedTag>>();

  constructor(client: Pick<RegistryClient, "resolve">, budgetMs: number) {
    this.#client = client;
    this.#budgetMs = budgetMs;
  }

  async resolve(reference: Reference): Promise<ResolvedTag> {
    const name = formatReference(reference);
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
