import type { Container, Pod } from "../../src/kube/pod.ts";

/** The proxy as Istio's injection writes it, as far as admission reads it. */
export const istioProxy: Container = {
  name: "istio-proxy",
  image: "docker.io/istio/proxyv2:1.28.3",
  args: ["proxy", "sidecar", "--domain", "$(POD_NAMESPACE).svc.cluster.local"],
  restartPolicy: "Always",
  securityContext: { runAsUser: 1337, runAsGroup: 1337, runAsNonRoot: true },
};

const app: Container = { name: "app", image: "shop" };

/** A pod with a native sidecar. */
export function meshPod({
  proxy = {},
  labels = {},
  annotations = {},
  containers = [app],
}: {
  readonly proxy?: Partial<Container>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly containers?: readonly Container[];
} = {}): Pod {
  return {
    metadata: { name: "shop", labels, annotations },
    spec: {
      containers,
      initContainers: [
        { name: "istio-init", image: "proxyv2", args: ["istio-iptables"] },
        { ...istioProxy, ...proxy },
      ],
    },
  };
}

/** The same with the proxy among its containers, as Istio did before native sidecars. */
export function classicPod(): Pod {
  const { restartPolicy: _, ...proxy } = istioProxy;
  return { metadata: {}, spec: { containers: [app, proxy], initContainers: [] } };
}
