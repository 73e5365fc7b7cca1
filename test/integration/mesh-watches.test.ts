import assert from "node:assert/strict";
import { defaultConfig } from "../../src/config/load.ts";
import type { AttachingObject } from "../../src/dataplanes/attaching-object.ts";
import { serviceDefaults } from "../../src/dataplanes/consul-service.ts";
import { patchName, slotPatch } from "../../src/dataplanes/kuma-slots.ts";
import { kumaSlotObjects, type SlotObjects } from "../../src/dataplanes/slot-objects.ts";
import type { Interruption } from "../../src/kube/collection-watch.ts";
import { type ServiceDefaultsWatch, serviceDefaultsWatch } from "../../src/webhook/service-defaults-watch.ts";
import { type SlotWatch, slotWatch } from "../../src/webhook/slot-watch.ts";
import { filterIn } from "../dataplanes/filters.ts";
import { type Cluster, clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { meshProxyPatches } from "../environment/mesh-proxy-patches.ts";
import { makeNamespace } from "../environment/namespace.ts";
import { unavailable } from "../environment/requirement.ts";
import { until } from "../environment/until.ts";

const KUMA = "integration-kuma-system";
const SHOP = "integration-consul-shop";

/** As far as wasmount reads them: Consul's own definition has far more, and its licence. */
const SERVICE_DEFAULTS = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "servicedefaults.consul.hashicorp.com" },
  spec: {
    group: "consul.hashicorp.com",
    names: {
      kind: "ServiceDefaults",
      listKind: "ServiceDefaultsList",
      plural: "servicedefaults",
      singular: "servicedefaults",
    },
    scope: "Namespaced",
    versions: [
      {
        name: "v1alpha1",
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      },
    ],
  },
} as const;

describe("what attaches filters for Kuma and Consul, watched on a real API server", function () {
  this.timeout(10 * 60_000);
  let cluster: Cluster;
  let kubectl: Kubectl;
  let objects: SlotObjects;
  let slots: SlotWatch;
  let services: ServiceDefaultsWatch;
  const interruptions: Interruption[] = [];
  const interrupted = (reason: Interruption) => void interruptions.push(reason);

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    cluster = await openCluster({ node: false, progress: line => console.log(`      ${line}`) });
    kubectl = new Kubectl(cluster);
    await apply(meshProxyPatches, SERVICE_DEFAULTS);
    for (const { metadata } of [meshProxyPatches, SERVICE_DEFAULTS]) {
      await kubectl.run(["wait", "--for=condition=Established", "crd", metadata.name, "--timeout=60s"]);
    }
    for (const namespace of [KUMA, SHOP]) await makeNamespace(kubectl, namespace);
    const config = defaultConfig("registry.example/wasmount:1");
    const found = kumaSlotObjects({
      ...config,
      dataPlanes: ["kuma"],
      kuma: { ...config.kuma, systemNamespace: KUMA },
    });
    objects = found ?? assert.fail("Kuma is named");
    slots = slotWatch(cluster.kubeConfig, objects, { interrupted });
    services = serviceDefaultsWatch(cluster.kubeConfig, { interrupted });
    await eventually("both to be listed", () => slots.synced() && services.synced());
  });

  after(async () => {
    await slots?.close();
    await services?.close();
    if (!kubectl) return;
    const names = [meshProxyPatches.metadata.name, SERVICE_DEFAULTS.metadata.name];
    await kubectl.run(["delete", "crd", ...names, "--ignore-not-found"]);
    await kubectl.run(["delete", "namespace", KUMA, SHOP, "--ignore-not-found", "--wait=false"]);
  });

  async function apply(...objects: readonly object[]): Promise<void> {
    const list = JSON.stringify({ apiVersion: "v1", kind: "List", items: objects });
    await kubectl.run(["apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-"], list);
  }

  const eventually = (what: string, holds: () => boolean) =>
    until(what, holds, { seconds: 30, pauseMs: 50, bears: () => false });

  it("tells how a slot's MeshProxyPatch stands, of which Kuma's definition takes every member", async () => {
    const place = { namespace: KUMA, mesh: "default", root: "/wasmount" };
    const name = patchName("in-last-01", "default");
    assert.equal(slots.state(name), "Missing");
    await apply(slotPatch("in-last-01", place), slotPatch("http-only", place));
    await eventually("it to be installed", () => slots.state(name) === "Installed");
    await eventually("it to be counted", () => slots.count()?.Installed === 2);
    await kubectl.run(["label", "-n", KUMA, "meshproxypatch", name, "kuma.io/effect=shadow"]);
    await eventually("it to be altered", () => slots.state(name) === "Altered");
    await kubectl.run(["delete", "-n", KUMA, "meshproxypatch", name]);
    await eventually("it to be missing again", () => slots.state(name) === "Missing");
  });

  it("tells how a service's ServiceDefaults stands, before and after Consul has taken it", async () => {
    const wanted: AttachingObject = serviceDefaults("shop", SHOP, [filterIn("in-last-01")], "/wasmount");
    const state = () => services.state(wanted, null);
    assert.equal(state(), "Missing");
    await apply(wanted);
    await eventually("it to be not synced", () => state() === "NotSynced");
    const status = JSON.stringify({ status: { conditions: [{ type: "Synced", status: "True" }] } });
    const one = ["-n", SHOP, "servicedefaults", "shop"];
    await kubectl.run(["patch", ...one, "--subresource=status", "--type=merge", "-p", status]);
    await eventually("it to be attached", () => state() === "Attached");
    assert.equal(services.state(wanted, SHOP), "Attached");
    assert.equal(services.state(wanted, KUMA), "Missing");
    await kubectl.run(["patch", ...one, "--type=merge", "-p", JSON.stringify({ spec: { protocol: "tcp" } })]);
    await eventually("it to differ", () => state() === "Differs");
    await kubectl.run(["delete", ...one]);
    await eventually("it to be missing again", () => state() === "Missing");
  });

  it("counts what attaches filters as missing where the mesh's definitions are gone, or never were", async () => {
    const names = [meshProxyPatches.metadata.name, SERVICE_DEFAULTS.metadata.name];
    const place = { namespace: KUMA, mesh: "default", root: "/wasmount" };
    const name = patchName("in-first-01", "default");
    const wanted: AttachingObject = serviceDefaults("shop", SHOP, [filterIn("in-last-01")], "/wasmount");
    await apply(slotPatch("in-first-01", place), wanted);
    await eventually(
      "it to be installed",
      () => slots.state(name) === "Installed" && services.state(wanted, null) !== "Missing",
    );
    await kubectl.run(["delete", "crd", ...names]);
    await eventually(
      "all to be missing",
      () => slots.state(name) === "Missing" && services.state(wanted, null) === "Missing",
    );
    const late = slotWatch(cluster.kubeConfig, objects, { interrupted });
    try {
      await eventually("an answer", () => late.notReady() === null);
      assert.equal(late.state(name), "Missing");
      assert.deepEqual([late.count(), late.synced(), late.contactSeconds()], [null, true, null]);
      assert.deepEqual([slots.count()?.Installed, slots.notReady()], [0, null]);
    } finally {
      await late.close();
    }
  });
});
