import type { Container, Pod } from "../../src/kube/pod.ts";

/** The gateway as Higress's chart writes it (helm/core/templates/_pod.tpl), as far as admission reads it. */
export const higressGateway: Container = {
  name: "higress-gateway",
  image: "higress-registry.cn-hangzhou.cr.aliyuncs.com/higress/gateway:2.2.1",
  args: ["proxy", "router", "--domain", "$(POD_NAMESPACE).svc.cluster.local", "--serviceCluster=higress-gateway"],
  securityContext: { readOnlyRootFilesystem: true, runAsUser: 1337, runAsGroup: 1337, runAsNonRoot: true },
  volumeMounts: [
    { name: "podinfo", mountPath: "/etc/istio/pod" },
    { name: "proxy-socket", mountPath: "/etc/istio/proxy" },
  ],
};

/** A pod of the gateway's Deployment. */
export function higressPod(gateway: Partial<Container> = {}): Pod {
  return {
    metadata: {
      name: "higress-gateway-5c7d8f9b6-abcde",
      namespace: "higress-system",
      labels: {
        "sidecar.istio.io/inject": "false",
        "wasmount.dev/inject": "true",
        app: "higress-gateway",
        higress: "higress-system-higress-gateway",
      },
      annotations: {
        "prometheus.io/path": "/stats/prometheus",
        "sidecar.istio.io/inject": "false",
        "wasmount.dev/direction.headers": "gateway",
        "wasmount.dev/module.headers": `registry.example/headers@sha256:${"a".repeat(64)}`,
      },
    },
    spec: {
      containers: [{ ...higressGateway, ...gateway }],
      volumes: [
        { name: "podinfo", downwardAPI: { items: [] } },
        { name: "proxy-socket", emptyDir: {} },
      ],
    },
  };
}
