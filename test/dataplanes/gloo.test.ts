import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { AttachedFilter, Attachment, Load, ProxyWishes } from "../../src/dataplanes/data-plane.ts";
import { glooDataPlane } from "../../src/dataplanes/gloo.ts";
import type { OrRefusal } from "../../src/decision/refusal.ts";
import type { Pod } from "../../src/kube/pod.ts";
import { granted, refused } from "./outcome.ts";

const pods = JSON.parse(readFileSync(new URL("../fixtures/gloo/pods.json", import.meta.url), "utf8")) as Readonly<
  Record<"enterprise" | "open" | "openInIstio", Pod>
>;
const wishes: ProxyWishes = { proxyContainer: null, proxyConfig: null, tcpAllowed: false };
const filter: AttachedFilter = {
  name: "headers",
  slot: "gw-last-01",
  phase: "last",
  config: '{"a":1}',
  rootId: "root",
  runtimeFailure: "closed",
  capabilities: null,
};
const early: AttachedFilter = { ...filter, name: "early", slot: "gw-first-01", phase: "first", config: null };

function attach(
  filters: readonly AttachedFilter[],
  { pod = pods.enterprise, ...changes }: Partial<Load & ProxyWishes> & { readonly pod?: Pod } = {},
): OrRefusal<Attachment> {
  const load: Load = { root: "/wasmount", locked: false, filters, ...changes };
  return glooDataPlane.attach(pod, granted(glooDataPlane.find(pod, wishes)), { ...wishes, ...changes }, load);
}

/** The pod with its proxy's image changed, or its labels. */
function changed(image: string, labels: Readonly<Record<string, string>> = {}): Pod {
  const { metadata, spec } = pods.enterprise;
  return {
    metadata: { ...metadata, labels: { ...metadata.labels, ...labels } },
    spec: { ...spec, containers: spec.containers.map(container => ({ ...container, image })) },
  };
}

describe("Gloo's proxy", () => {
  it("is the container that its chart names after the proxy, with its user", () => {
    const { container, uid, gid, directions } = granted(glooDataPlane.find(pods.enterprise, wishes));
    assert.deepEqual([container.name, uid, gid, directions], ["gateway-proxy", 10_101, 10_101, ["gateway"]]);
  });

  it("is refused where it is of the open edition, which would pass requests unfiltered", () => {
    for (const pod of [pods.open, pods.openInIstio]) {
      refused(
        glooDataPlane.find(pod, wishes),
        "ProxyUnsupported",
        /gloo-envoy-wrapper:1\.22\.1: only Gloo Edge Enterprise/,
      );
    }
    for (const image of [
      "a/gloo-ee-envoy-wrapper-not",
      "my-gloo-ee-envoy-wrapper:1",
      "a/gloo-ee-envoy-wrapper/other:1",
    ]) {
      refused(glooDataPlane.find(changed(image), wishes), "ProxyUnsupported", /only Gloo Edge Enterprise/);
    }
    const digest = `a:5000/b/gloo-ee-envoy-wrapper@sha256:${"0".repeat(64)}`;
    for (const image of ["gloo-ee-envoy-wrapper", "a/gloo-ee-envoy-wrapper:1.20.1-distroless", digest]) {
      granted(glooDataPlane.find(changed(image), wishes));
    }
  });

  it("is nothing else", () => {
    const others = [
      changed("gloo-ee-envoy-wrapper", { gloo: "gloo" }),
      changed("gloo-ee-envoy-wrapper", { "gateway-proxy-id": "other" }),
      { ...pods.enterprise, metadata: { labels: null } },
    ];
    for (const pod of others) refused(glooDataPlane.find(pod, wishes), "ProxyNotFound", /gateway-proxy-id/);
    refused(glooDataPlane.find(pods.enterprise, { ...wishes, proxyContainer: "app" }), "ProxyNotFound", /looked for/);
  });
});

describe("Gloo's attaching objects", () => {
  it("are both of the proxy's Gateways, each with the modules by slot and no more", () => {
    const objects = granted(attach([early, filter])).objects();
    const wasm = {
      filters: [
        {
          name: "early",
          filePath: "/wasmount/slots/gw-first-01.wasm",
          rootId: "root",
          filterStage: { stage: "FaultStage", predicate: "Before" },
          failOpen: false,
        },
        {
          name: "headers",
          filePath: "/wasmount/slots/gw-last-01.wasm",
          rootId: "root",
          config: { "@type": "type.googleapis.com/google.protobuf.StringValue", value: '{"a":1}' },
          filterStage: { stage: "RouteStage", predicate: "Before" },
          failOpen: false,
        },
      ],
    };
    assert.deepEqual(
      objects,
      ["gateway-proxy", "gateway-proxy-ssl"].map(name => ({
        apiVersion: "gateway.solo.io/v1",
        kind: "Gateway",
        metadata: { name, namespace: "gloo-system" },
        spec: { httpGateway: { options: { wasm } } },
      })),
    );
  });

  it("are the Gateways that the author names, which the warning names too", () => {
    const { objects, warnings } = granted(attach([filter], { listeners: ["edge"] }));
    assert.deepEqual(
      objects().map(({ metadata }) => metadata.name),
      ["edge"],
    );
    assert.match(warnings.join(), /^requests pass unfiltered until Gateways edge name the filters .* other Gateways$/);
  });

  it("pass requests when a module fails only where the author says so", () => {
    const objects = granted(attach([{ ...filter, runtimeFailure: "open" }])).objects();
    assert.match(JSON.stringify(objects), /"failOpen":true/);
  });

  it("are refused for what Gloo's options can't say", () => {
    const second = { ...filter, name: "second", slot: "gw-last-02" };
    refused(attach([filter, second]), "ProxyUnsupported", /headers and second are both of phase last/);
    refused(attach([{ ...filter, rootId: null }]), "ProxyUnsupported", /annotate wasmount\.dev\/root-id\.headers/);
    refused(attach([{ ...filter, runtimeFailure: "reload" }]), "ProxyUnsupported", /runtime-failure\.headers=reload/);
    refused(attach([{ ...filter, capabilities: [] }]), "ProxyUnsupported", /capabilities\.headers/);
  });

  it("are refused for locked namespaces, and where a mount hides the modules", () => {
    refused(attach([filter], { locked: true }), "ProxyUnsupported", /locked.*options of a Gateway/);
    const { metadata, spec } = pods.enterprise;
    const shadowed = {
      metadata,
      spec: {
        ...spec,
        containers: spec.containers.map(one => ({
          ...one,
          volumeMounts: [{ name: "x", mountPath: "/wasmount/slots" }],
        })),
      },
    };
    refused(attach([filter], { pod: shadowed }), "MountShadowed", /volume x/);
  });
});
