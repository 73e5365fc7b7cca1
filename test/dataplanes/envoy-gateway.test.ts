import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { AttachedFilter, Attachment, Load, ProxyWishes } from "../../src/dataplanes/data-plane.ts";
import { envoyGatewayDataPlane } from "../../src/dataplanes/envoy-gateway.ts";
import type { OrRefusal } from "../../src/decision/refusal.ts";
import { discoveredFilter } from "../../src/envoy/discovered-filter.ts";
import type { Container, Pod } from "../../src/kube/pod.ts";
import { granted, refused } from "./outcome.ts";

const file = new URL("../fixtures/envoy-gateway/pods.json", import.meta.url);
const pods = JSON.parse(readFileSync(file, "utf8")) as Readonly<
  Record<"controllerNamespace" | "gatewayNamespace" | "merged" | "daemonSet", Pod>
>;
const pod = pods.controllerNamespace;
const wishes: ProxyWishes = { proxyContainer: null, proxyConfig: null, tcpAllowed: false, listeners: ["http"] };

function filter(slot: string): AttachedFilter {
  const phase = slot.includes("first") ? "first" : "last";
  return { name: slot, slot, phase, config: null, rootId: "", runtimeFailure: "closed", capabilities: null };
}

function find(of: Pod, asked: Partial<ProxyWishes> = {}) {
  return envoyGatewayDataPlane.find(of, { ...wishes, ...asked });
}

function attach(of: Pod, changes: Partial<Load & ProxyWishes> = {}): OrRefusal<Attachment> {
  const load: Load = { root: "/wasmount", locked: false, filters: [filter("gw-last-01")], ...changes };
  return envoyGatewayDataPlane.attach(of, granted(find(of)), { ...wishes, ...changes }, load);
}

interface Operation {
  readonly op: string;
  readonly jsonPath: string;
  readonly path?: string;
  readonly value: { readonly name: string };
}

/** The policy that a pod needs. */
function policyOf(of: Pod, changes: Partial<Load & ProxyWishes> = {}) {
  const [policy, ...others] = granted(attach(of, changes)).objects();
  assert.deepEqual(others, []);
  assert.ok(policy);
  const spec = policy.spec as unknown as {
    readonly targetRef: object;
    readonly priority: number;
    readonly jsonPatches: readonly { readonly type: string; readonly name: string; readonly operation: Operation }[];
  };
  return { policy, spec };
}

/** The pod with its proxy changed. */
function withProxy(changes: Partial<Container>): Pod {
  const containers = pod.spec.containers.map(one => (one.name === "envoy" ? { ...one, ...changes } : one));
  return { ...pod, spec: { ...pod.spec, containers } };
}

describe("Envoy Gateway's proxy", () => {
  it("is found in the pods of each of its modes, with its user", () => {
    for (const [mode, one] of Object.entries(pods)) {
      const { container, uid, gid, directions } = granted(find(one));
      assert.deepEqual([container.name, uid, gid, directions], ["envoy", 65_532, 65_532, ["gateway"]], mode);
      assert.ok(one.spec.containers.some(({ name }) => name === "shutdown-manager"));
    }
  });

  it("has the Envoy that its image's tag names", () => {
    assert.equal(granted(find(pods.gatewayNamespace)).envoyVersion, "1.37");
    assert.equal(granted(find(withProxy({ image: "docker.io/envoyproxy/envoy:distroless-dev" }))).envoyVersion, null);
  });

  it("is none without Envoy Gateway's labels, nor with a bootstrap of the author's own", () => {
    const { labels = {} } = pod.metadata;
    for (const missing of ["app.kubernetes.io/managed-by", "gateway.envoyproxy.io/owning-gateway-name"]) {
      const { [missing]: _, ...others } = labels ?? {};
      refused(
        find({ ...pod, metadata: { ...pod.metadata, labels: others } }),
        "ProxyNotFound",
        /Envoy Gateway manages/,
      );
    }
    refused(find(withProxy({ args: ["-c", "/etc/envoy/envoy.yaml"] })), "ProxyNotFound", /Envoy Gateway manages/);
    refused(find(pod, { proxyContainer: "shutdown-manager" }), "ProxyNotFound", /looked for/);
  });
});

describe("Envoy Gateway's attaching object", () => {
  it("is one policy for the Gateway, in its namespace, after all others", () => {
    const { policy, spec } = policyOf(pod);
    const { apiVersion, kind, metadata } = policy;
    assert.deepEqual(
      { apiVersion, kind, metadata },
      {
        apiVersion: "gateway.envoyproxy.io/v1alpha1",
        kind: "EnvoyPatchPolicy",
        metadata: { name: "wasmount-web", namespace: "shop" },
      },
    );
    assert.deepEqual(spec.targetRef, { group: "gateway.networking.k8s.io", kind: "Gateway", name: "web" });
    assert.equal(spec.priority, 2 ** 31 - 1);
    assert.deepEqual(policyOf(pods.gatewayNamespace), policyOf(pod));
  });

  it("puts the last filter before the router, and the first one at the head, in their order", () => {
    const slots = ["gw-first-01", "gw-first-02", "gw-last-01", "gw-last-02"];
    const { spec } = policyOf(pod, { filters: slots.map(filter) });
    assert.deepEqual(
      spec.jsonPatches.map(({ operation: { op, jsonPath, path, value } }) => [op, jsonPath, path, value.name]),
      [
        ["add", "$..http_filters", "/0", "wasmount.gw-first-02"],
        ["add", "$..http_filters", "/0", "wasmount.gw-first-01"],
        ["add", "$..http_filters[?(@.name=='envoy.filters.http.router')]", undefined, "wasmount.gw-last-01"],
        ["add", "$..http_filters[?(@.name=='envoy.filters.http.router')]", undefined, "wasmount.gw-last-02"],
      ],
    );
    assert.deepEqual(spec.jsonPatches[2]?.operation.value, discoveredFilter("gw-last-01", "/wasmount"));
  });

  it("names the listeners as Envoy Gateway does", () => {
    const listeners = ["http", "http-quic", "tcp-443", "udp-443", "shop/web/other/set/http"];
    const { spec } = policyOf(pod, { listeners });
    assert.deepEqual(
      spec.jsonPatches.map(({ type, name }) => [type, name]),
      ["shop/web/http", "shop/web/http-quic", "tcp-443", "udp-443", "shop/web/other/set/http"].map(name => [
        "type.googleapis.com/envoy.config.listener.v3.Listener",
        name,
      ]),
    );
    assert.match(granted(attach(pod, { listeners })).warnings.join(), /until .*wasmount-web .* tcp-443/);
  });

  it("is for the class where Gateways are merged, whose listeners have whole names", () => {
    const { policy, spec } = policyOf(pods.merged, { listeners: ["shop/web/http", "tcp-80"] });
    assert.deepEqual(policy.metadata, { name: "wasmount-eg", namespace: "envoy-gateway-system" });
    assert.deepEqual(spec.targetRef, { group: "gateway.networking.k8s.io", kind: "GatewayClass", name: "eg" });
    refused(attach(pods.merged), "BadValue", /proxy-listeners names http.*namespace\/gateway\/http/);
  });

  it("is refused without listeners, for locked namespaces, and where a mount hides the filter files", () => {
    refused(attach(pod, { listeners: [] }), "ProxyUnsupported", /annotate wasmount\.dev\/proxy-listeners/);
    refused(attach(pod, { locked: true }), "ProxyUnsupported", /locked.*EnvoyPatchPolicy/);
    const volumeMounts = [{ name: "x", mountPath: "/wasmount/filters" }];
    refused(attach(withProxy({ volumeMounts })), "MountShadowed", /volume x/);
  });
});
