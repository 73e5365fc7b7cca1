import assert from "node:assert/strict";
import { parseAllDocuments } from "yaml";
import { type InjectOptions, type InjectResult, runInject } from "../../src/inject/run.ts";
import type { Pod } from "../../src/kube/pod.ts";
import { digest } from "../admission/pods.ts";

/** Digest of the module that the samples name. */
export const MODULE = `registry.example/headers@${digest("a")}`;

/** Runs injection on a text as standard input. Nothing here asks a registry: all references have digests. */
export function inject(text: string | Uint8Array, options: Partial<InjectOptions> = {}): Promise<InjectResult> {
  return runInject({
    files: ["-"],
    stdin: streamOf(text),
    namespace: "default",
    namespaceFile: null,
    config: null,
    fetcherImage: "registry.example/wasmount:0.1.0",
    dataPlane: null,
    output: "same",
    review: false,
    explain: false,
    userAgent: "wasmount-test",
    ...options,
  });
}

export async function* streamOf(text: string | Uint8Array): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text as string);
}

/** The manifest of a workload that asks for one filter, in YAML. Its pod template is `template`, already indented. */
export function deployment(changes: { readonly name?: string; readonly module?: string } = {}): string {
  return `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${changes.name ?? "web"}
  namespace: shop
spec:
  replicas: 3 # three
  template:
    metadata:
      labels: # the labels
        app: web # selects
        wasmount.dev/inject: "true"
        # nothing below
      annotations:
        wasmount.dev/module.headers: ${changes.module ?? MODULE}
    spec:
      containers:
        # the app
        - name: app
          image: 'registry.example/shop/app:1.0'
        - name: envoy # the proxy
          image: docker.io/envoyproxy/envoy:v1.40.0
          args: [-c, /etc/envoy/envoy.yaml]   # its configuration
          volumeMounts:
            - {name: config, mountPath: /etc/envoy, readOnly: true}
      volumes:
        - name: config
          configMap: {name: envoy}
`;
}

/** A pod's metadata and spec as an object, asking for one filter. */
export function template(): { metadata: object; spec: object } {
  return {
    metadata: {
      labels: { "wasmount.dev/inject": "true" },
      annotations: { "wasmount.dev/module.headers": MODULE },
    },
    spec: {
      containers: [
        {
          name: "envoy",
          image: "docker.io/envoyproxy/envoy:v1.40.0",
          args: ["-c", "/etc/envoy/envoy.yaml"],
          volumeMounts: [{ name: "config", mountPath: "/etc/envoy" }],
        },
      ],
      volumes: [{ name: "config", configMap: { name: "envoy" } }],
    },
  };
}

/** Reads a stream of documents as Kubernetes' clients do. */
export function documents(text: string): unknown[] {
  return parseAllDocuments(text, { version: "1.1", merge: true }).map(document => {
    assert.deepEqual(document.errors, []);
    return document.toJS();
  });
}

export function assertInjected(pod: unknown): void {
  const { metadata, spec } = pod as Pod;
  assert.equal(metadata.labels?.["wasmount.dev/injected"], "true");
  assert.equal(spec.initContainers?.[0]?.name, "wasmount-fetch");
  const proxy = spec.containers.find(({ name }) => name === "envoy");
  assert.ok(proxy?.args?.includes("/wasmount/bootstrap/etc/envoy/envoy.yaml"), "the proxy reads the edited copy");
}
