import { parse } from "yaml";
import type { Namespace } from "../../src/kube/namespace.ts";
import type { Container, Pod } from "../../src/kube/pod.ts";

/** A pod with an application and an Envoy whose configuration comes from a ConfigMap, parts of which a test chooses. */
export function samplePod(
  changes: {
    annotations?: Record<string, string>;
    labels?: Record<string, string>;
    proxy?: Partial<Container>;
    spec?: Partial<Pod["spec"]>;
  } = {},
): Pod {
  const pod = parse(`
metadata:
  name: shop
  namespace: shop
spec:
  containers:
    - {name: app, image: registry.example/shop/app:1.0}
    - name: envoy
      image: docker.io/envoyproxy/envoy:v1.40.0
      args: [-c, /etc/envoy/envoy.yaml]
      volumeMounts: [{name: config, mountPath: /etc/envoy, readOnly: true}]
  volumes:
    - {name: config, configMap: {name: envoy}}
`) as Pod;
  const [app, envoy] = pod.spec.containers as [Container, Container];
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      annotations: { "wasmount.dev/module.headers": `registry.example/headers@${digest("a")}`, ...changes.annotations },
      ...(changes.labels && { labels: changes.labels }),
    },
    spec: { ...pod.spec, containers: [app, { ...envoy, ...changes.proxy }], ...changes.spec },
  };
}

export function sampleNamespace(changes: Partial<Namespace> = {}): Namespace {
  return { name: "shop", labels: { "wasmount.dev/inject": "true" }, annotations: {}, ...changes };
}

export function digest(digit: string): string {
  return `sha256:${digit.repeat(64)}`;
}
