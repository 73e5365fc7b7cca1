import assert from "node:assert/strict";
import type { AttachedFilter, Attachment, Load, ProxyWishes } from "../../src/dataplanes/data-plane.ts";
import { higressDataPlane } from "../../src/dataplanes/higress.ts";
import { slotFilter } from "../../src/dataplanes/istio-slots.ts";
import type { OrRefusal } from "../../src/decision/refusal.ts";
import type { Container, Pod } from "../../src/kube/pod.ts";
import { higressPod } from "./higress-pods.ts";
import { granted, refused } from "./outcome.ts";

const wishes: ProxyWishes = { proxyContainer: null, proxyConfig: null, tcpAllowed: false };
const filter: AttachedFilter = {
  name: "headers",
  slot: "gw-last-01",
  phase: "last",
  config: null,
  rootId: "",
  runtimeFailure: "closed",
  capabilities: null,
};

function found(gateway: Partial<Container> = {}) {
  return granted(higressDataPlane.find(higressPod(gateway), wishes));
}

function attach(pod: Pod, changes: Partial<Load> = {}): OrRefusal<Attachment> {
  const load: Load = { root: "/wasmount", locked: false, filters: [filter], ...changes };
  return higressDataPlane.attach(pod, granted(higressDataPlane.find(pod, wishes)), wishes, load);
}

describe("Higress's gateway", () => {
  it("is the container that its chart names, with its user, also where that is root", () => {
    const { container, uid, gid, directions } = found();
    assert.deepEqual([container.name, uid, gid, directions], ["higress-gateway", 1337, 1337, ["gateway"]]);
    assert.deepEqual(found({ securityContext: { runAsUser: 0, runAsGroup: 1337 } }).uid, 1337);
  });

  it("has the Envoy that its release came with", () => {
    const releases = {
      "a/higress/gateway:2.2.1": "1.36",
      "a:5000/gateway:v2.1.11": "1.27",
      [`gateway:2.2.0-rc.1@sha256:${"0".repeat(64)}`]: "1.36",
      "a/gateway:2.9.0": null,
      "a/gateway:latest": null,
      "a/other-gateway:2.2.1": null,
      "a/gateway": null,
    };
    for (const [image, release] of Object.entries(releases))
      assert.equal(found({ image }).envoyVersion, release, image);
  });

  it("is nothing else", () => {
    refused(higressDataPlane.find(higressPod({ name: "envoy" }), wishes), "ProxyNotFound", /higress-gateway/);
    refused(higressDataPlane.find(higressPod(), { ...wishes, proxyContainer: "app" }), "ProxyNotFound", /looked for/);
    for (const args of [null, ["proxy", "sidecar"], ["serve"]]) {
      refused(higressDataPlane.find(higressPod({ args }), wishes), "ProxyUnsupported", /looked for proxy router/);
    }
  });
});

describe("Higress's attaching objects", () => {
  it("are the EnvoyFilters of Istio's gateways, in the gateway's namespace, which select what the pod is labelled", () => {
    const early = { ...filter, name: "early", slot: "gw-first-01", phase: "first" } as const;
    const { objects, labels, warnings } = granted(attach(higressPod(), { filters: [early, filter] }));
    const slots = ["gw-first-01", "gw-last-01"];
    assert.deepEqual(
      objects(),
      slots.map(slot => slotFilter(slot, "higress-system", "/wasmount")),
    );
    const selected = objects().map(({ spec }) => (spec["workloadSelector"] as { labels: object }).labels);
    assert.deepEqual(Object.assign({}, ...selected), labels);
    assert.match(JSON.stringify(objects()), /"context":"GATEWAY"/);
    assert.match(
      warnings.join(),
      /unfiltered where EnvoyFilters wasmount-gw-first-01, wasmount-gw-last-01 are not there/,
    );
  });

  it("come with the statistics that tell what serves", () => {
    const { annotations } = granted(attach(higressPod()));
    assert.deepEqual(annotations, { "sidecar.istio.io/statsInclusionPrefixes": "extension_config_discovery" });
  });

  it("are refused for locked namespaces, and where a mount hides the filter files", () => {
    refused(attach(higressPod(), { locked: true }), "ProxyUnsupported", /locked.*EnvoyFilters/);
    const volumeMounts = [{ name: "x", mountPath: "/wasmount/filters" }];
    refused(attach(higressPod({ volumeMounts })), "MountShadowed", /volume x/);
  });
});
