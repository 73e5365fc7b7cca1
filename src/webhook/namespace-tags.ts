import type { RegistryClient } from "../oci/client.ts";
import type { CredentialSource } from "../oci/credentials.ts";
import type { Reference } from "../oci/reference.ts";
import { type ResolvedTag, TagResolver } from "../oci/tag-resolver.ts";
import type { NamespaceCredentials } from "./registry-credentials.ts";

type Client = Pick<RegistryClient, "resolve" | "close">;

interface Registry {
  readonly client: Client;
  readonly tags: TagResolver;
}

/**
 * Resolves tags with the operator's credentials for the namespace that asks. Each namespace that has any also has a
 * client of its own: nothing that was learned with them (tokens, answers, open connections) can serve another one.
 */
export class NamespaceTags {
  readonly #credentials: ReadonlyMap<string, NamespaceCredentials>;
  readonly #open: (credentials: CredentialSource) => Client;
  readonly #budgetMs: number;
  readonly #anonymous: Registry;
  readonly #registries = new Map<string, Registry>();

  /**
   * @param open makes a client that uses these credentials
   * @param budgetMs for one answer
   */
  constructor(
    credentials: ReadonlyMap<string, NamespaceCredentials>,
    open: (credentials: CredentialSource) => Client,
    budgetMs: number,
  ) {
    this.#credentials = credentials;
    this.#open = open;
    this.#budgetMs = budgetMs;
    const client = open(() => []);
    this.#anonymous = { client, tags: new TagResolver(client, { budgetMs }) };
  }

  resolve(reference: Reference, namespace: string): Promise<ResolvedTag> {
    const credentials = this.#credentials.get(namespace);
    const { tags } = credentials === undefined ? this.#anonymous : this.#registryOf(namespace, credentials);
    return tags.resolve(reference);
  }

  /** Closes idle connections. Nothing can be asked afterwards. */
  close(): void {
    for (const { client } of [this.#anonymous, ...this.#registries.values()]) client.close();
  }

  #registryOf(namespace: string, { source, serve }: NamespaceCredentials): Registry {
    const held = this.#registries.get(namespace);
    if (held !== undefined) return held;
    const client = this.#open(source);
    const isConfidential = ({ registry, repository }: Reference) => serve(registry, repository);
    const registry = { client, tags: new TagResolver(client, { budgetMs: this.#budgetMs, isConfidential }) };
    this.#registries.set(namespace, registry);
    return registry;
  }
}
