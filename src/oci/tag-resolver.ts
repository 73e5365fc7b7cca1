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

export interface TagResolverOptions {
  /** For one answer, in milliseconds. */
  readonly budgetMs: number;
  /**
   * What is asked with credentials that are not the pod author's own: there, what is denied, absent and unreadable reads
   * the same to them. Default: nothing.
   */
  readonly isConfidential?: (reference: Reference) => boolean;
}

/** What a registry itself says of a tag. Anything else tells of the network, which is none of a pod author's business. */
const SAID_BY_REGISTRY = new Set<RegistryErrorCode>(["NotFound", "Unauthorized", "Denied", "RateLimited"]);

/**
 * Resolves tags to digests inside a budget, one question at a time for each reference: the pods of one rollout arrive
 * together. Nothing is remembered: who moves a tag and then rolls out expects what it means now. All who ask are given
 * what the client's credentials can see, so who may not see the same has a resolver, and a client, of their own.
 */
export class TagResolver {
  readonly #client: Pick<RegistryClient, "resolve">;
  readonly #options: TagResolverOptions;
  readonly #asking = new Map<string, Promise<ResolvedTag>>();

  constructor(client: Pick<RegistryClient, "resolve">, options: TagResolverOptions) {
    this.#client = client;
    this.#options = options;
  }

  async resolve(reference: Reference): Promise<ResolvedTag> {
    const name = formatReference(reference);
    let answer = this.#asking.get(name);
    if (answer === undefined) {
      answer = this.#ask(reference).finally(() => this.#asking.delete(name));
      this.#asking.set(name, answer);
    }
    return answer;
  }

  async #ask(reference: Reference): Promise<ResolvedTag> {
    const { budgetMs, isConfidential = () => false } = this.#options;
    try {
      const { digest } = await this.#client.resolve(reference, AbortSignal.timeout(budgetMs));
      return { digest };
    } catch (error) {
      if (error instanceof RegistryError) return registryWords(error, reference, isConfidential(reference));
      throw error;
    }
  }
}

/**
 * An error about an image in words for its author, who could else read from them which addresses answer inside the
 * operator's network, and in words for the operator's log.
 * @param confidential whether it was asked for with credentials that are not the author's own
 */
export function registryWords(
  error: RegistryError,
  reference: Reference,
  confidential: boolean,
): { readonly problem: string; readonly cause: string } {
  const name = formatReference(reference);
  const cause = `${error.code}: ${error.message}`;
  if (confidential) {
    return { problem: `${name} does not exist, or can't be read; the webhook's log says why`, cause };
  }
  if (SAID_BY_REGISTRY.has(error.code)) return { problem: error.message, cause };
  return { problem: `no usable answer about ${name} came in time; the webhook's log says why`, cause };
}
