import type { MeshStage } from "../test/environment/istio/mesh.ts";
import type { OtherWebhook } from "../test/environment/other-webhook.ts";
import type { Manifest } from "../test/environment/stage.ts";

/** What is compared: Istio's pod as it is, with one more init container that does nothing, and with a filter. */
export const kinds = ["bare", "padded", "filtered"] as const;
export type Kind = (typeof kinds)[number];

/** The init container that each kind has before Istio's own; null where it has none. */
export const firstContainers: Readonly<Record<Kind, string | null>> = {
  bare: null,
  padded: "nothing",
  filtered: "wasmount-fetch",
};

/**
 * Makes pods that differ in nothing but their first init container. It is put in where the fetcher is, after Istio's injection,
 * by a webhook of its own: what an author writes would have its turn after the proxy.
 */
export function podMaker(
  mesh: MeshStage,
  other: OtherWebhook,
  namespace: string,
): (kind: Kind, name: string) => Manifest {
  return (kind, name) => {
    const pod = mesh.pod(name, namespace);
    if (kind === "filtered") pod.metadata.labels["wasmount.dev/inject"] = "true";
    else pod.metadata.annotations = {};
    if (kind === "padded") {
      other.take(pod, "after-once", changed => {
        changed.spec.initContainers.unshift(idleContainer(pod.spec.containers[0].image));
      });
    }
    return pod;
  };
}

/** Node as the fetcher has it, under the same terms, with nothing to do. It says something, so that its moment is known. */
function idleContainer(image: string): Manifest {
  return {
    name: "nothing",
    image,
    imagePullPolicy: "Never",
    args: ["-e", "console.log(0)"],
    resources: { requests: { cpu: "10m", memory: "64Mi" }, limits: { cpu: "1", memory: "256Mi" } },
    securityContext: {
      runAsUser: 1337,
      runAsGroup: 1337,
      runAsNonRoot: true,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    },
  };
}
