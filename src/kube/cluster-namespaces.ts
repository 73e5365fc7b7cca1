import { ApiException, CoreV1Api, type KubeConfig } from "@kubernetes/client-node";
import { messageOf } from "../error.ts";
import { KubeError } from "./error.ts";
import type { NamespaceSource } from "./namespace.ts";

/** An admission has 5 s in all; a namespace that takes longer than this is an internal error. */
const READ_MS = 1_500;

/**
 * Namespaces read from the API server, one bounded GET an admission: always current, since a namespace that was
 * labelled a moment ago must count for the next pod.
 */
export function clusterNamespaces(kubeConfig: KubeConfig): NamespaceSource {
  const api = kubeConfig.makeApiClient(CoreV1Api);
  return {
    async get(name) {
      try {
        const { metadata } = await within(api.readNamespace({ name }), READ_MS);
        return { name, labels: metadata?.labels ?? {}, annotations: metadata?.annotations ?? {} };
      } catch (error) {
        if (error instanceof ApiException && error.code === 404) return null;
        throw new KubeError("Unreachable", `can't read namespace ${name}: ${messageOf(error)}`, { cause: error });
      }
    },
    notReady: () => null,
    close: async () => {},
  };
}

async function within<Value>(promise: Promise<Value>, milliseconds: number): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const expiry = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${milliseconds} ms`)), milliseconds);
  });
  return Promise.race([promise, expiry]).finally(() => clearTimeout(timer));
}
