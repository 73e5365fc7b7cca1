import type { RegistryClient } from "../oci/client.ts";
import type { CredentialSource } from "../oci/credentials.ts";
import type { RegistryError } from "../oci/error.ts";
import type { Reference } from "../oci/reference.ts";
import { type ResolvedTag, registryWords, TagResolver } from "../oci/tag-resolver.ts";
import type { Unreadable } from "../trust/evaluation.ts";
import { isUnasked, type PinnedImage } from "../trust/judging.ts";
import type { Unmatched, Verdict } from "../trust/verdict.ts";
import { type HashedRules, type Late, VERDICT_SETTINGS, Verdicts } from "../trust/verdicts.ts";
import type { NamespaceCredentials } from "./registry-credentials.ts";

export type AdmissionClient = Pick<RegistryClient, "limits" | "resolve" | "manifest" | "blob" | "referrers" | "close">;

interface Registry {
  readonly client: AdmissionClient;
  readonly tags: TagResolver;
  readonly verdicts: Verdicts;
}

export interface NamespaceRegistriesOptions {
  readonly credentials: ReadonlyMap<string, NamespaceCredentials>;
  /** Makes a client that uses these credentials. */
  readonly open: (credentials: CredentialSource) => AdmissionClient;
  /** For one answer, in milliseconds. */
  readonly budgetMs: number;
  readonly unmatched: Unmatched;
  /** Hears what kept signatures from being read: pods' authors may not. */
  readonly unread: (reference: Reference, error: RegistryError) => void;
}

/**
 * Asks registries with the operator's credentials for the namespace that asks. Each namespace that has any also has a
 * client of its own: nothing that was learned with them (tokens, answers, open connections, verdicts) can serve another
 * one.
 */
export class NamespaceRegistries {
  readonly #options: NamespaceRegistriesOptions;
  readonly #anonymous: Registry;
  readonly #registries = new Map<string, Registry>();

  constructor(options: NamespaceRegistriesOptions) {
    this.#options = options;
    this.#anonymous = this.#openRegistry(
      () => [],
      () => false,
    );
  }

  resolve(reference: Reference, namespace: string): Promise<ResolvedTag> {
    return this.#registryOf(namespace).tags.resolve(reference);
  }

  /** @param late see `Verdicts.judge` */
  judge(image: PinnedImage, demands: HashedRules, namespace: string, late: Late): Promise<Verdict> {
    return this.#registryOf(namespace).verdicts.judge(image, demands, late);
  }

  /** Closes idle connections. Nothing can be asked afterwards. */
  close(): void {
    for (const { client } of [this.#anonymous, ...this.#registries.values()]) client.close();
  }

  #registryOf(namespace: string): Registry {
    const credentials = this.#options.credentials.get(namespace);
    if (credentials === undefined) return this.#anonymous;
    const held = this.#registries.get(namespace);
    if (held !== undefined) return held;
    const registry = this.#openRegistry(credentials.source, credentials.serve);
    this.#registries.set(namespace, registry);
    return registry;
  }

  #openRegistry(source: CredentialSource, serve: NamespaceCredentials["serve"]): Registry {
    const { open, budgetMs, unmatched, unread } = this.#options;
    const client = open(source);
    const isConfidential = ({ registry, repository }: Reference) => serve(registry, repository);
    const unreadable = (error: RegistryError, reference: Reference): Unreadable => {
      unread(reference, error);
      const confidential = isConfidential(reference);
      // About what an image is made of, the error's own words tell nothing but that.
      const { problem } =
        confidential || isUnasked(error) ? registryWords(error, reference, confidential) : { problem: error.message };
      // Without credentials of the operator's, the pod's own may do.
      const deferrable = !confidential && (error.code === "Unauthorized" || error.code === "Denied");
      return { unreadable: problem, deferrable };
    };
    const settings = { ...VERDICT_SETTINGS, budgetMs };
    return {
      client,
      tags: new TagResolver(client, { budgetMs, isConfidential }),
      verdicts: new Verdicts({ source: client, unmatched, unreadable, settings, now: () => performance.now() }),
    };
  }
}
