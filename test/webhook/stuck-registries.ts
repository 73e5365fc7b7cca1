import { DEFAULT_LIMITS } from "../../src/oci/limits.ts";
import { NamespaceRegistries } from "../../src/webhook/namespace-registries.ts";

/** Registries that are never heard of again. */
export function stuckRegistries(): NamespaceRegistries {
  const never = () => new Promise<never>(() => {});
  return new NamespaceRegistries({
    credentials: new Map(),
    open: () => ({
      limits: DEFAULT_LIMITS,
      resolve: never,
      manifest: never,
      referrers: never,
      async *blob() {
        yield await never();
      },
      close() {},
    }),
    budgetMs: 60_000,
    unmatched: "Warn",
    unread: () => {},
  });
}
