import { type Refusal, refuse } from "../decision/refusal.ts";

/**
 * Refuses locked namespaces to meshes whose sidecar, and what redirects traffic to it, a pod's author may bring himself: their
 * injectors leave alone a pod that looks injected, and admission can't tell it from one of theirs.
 * @param mesh such as "Kuma"
 */
export function refuseAuthorsProxy(locked: boolean, mesh: string): Refusal | null {
  if (!locked) return null;
  return refuse(
    "ProxyUnsupported",
    `the namespace is locked, and what redirects traffic to ${mesh}'s proxy, and the proxy itself, are in the hands of the pod's author: a lock holds for Istio and plain Envoy alone`,
  );
}
