import assert from "node:assert/strict";
import { isSlotFilter, type StoredFilter, slotFilter, slotFilters } from "../../src/dataplanes/istio-slots.ts";

describe("the EnvoyFilters of slots", () => {
  const all = slotFilters("istio-system", 3, "/wasmount");
  const named = (name: string) => all.find(({ metadata }) => metadata.name === name) ?? assert.fail(name);

  // biome-ignore lint/suspicious/noExplicitAny: a document, read like one
  const patchOf = (name: string) => (named(name).spec["configPatches"] as readonly [any])[0];

  it("are one a place in each phase and direction, and the guard", () => {
    assert.equal(all.length, 3 * 2 * 3 + 1);
    assert.equal(new Set(all.map(({ metadata }) => metadata.name)).size, all.length);
    for (const { metadata } of all) assert.equal(metadata.namespace, "istio-system");
  });

  it("select pods by a label that is theirs alone", () => {
    for (const { metadata, spec } of all) {
      const slot = metadata.name.replace("wasmount-", "");
      const label = slot === "http-only" ? "wasmount.dev/http-only" : `wasmount.dev/slot-${slot}`;
      assert.deepEqual(spec["workloadSelector"], { labels: { [label]: "true" } });
    }
  });

  /** What Istio does with them: patches in the order of priority, each inserted at the front or before the router. */
  function chain(direction: string): string[] {
    const filters = ["own", "router"];
    const patches = all
      .filter(({ metadata }) => metadata.name.startsWith(`wasmount-${direction}-`))
      .sort((a, b) => Number(a.spec["priority"]) - Number(b.spec["priority"]));
    for (const { metadata, spec } of patches) {
      const [{ patch }] = spec["configPatches"] as [{ patch: { operation: string } }];
      const place = patch.operation === "INSERT_FIRST" ? 0 : filters.indexOf("router");
      filters.splice(place, 0, metadata.name.slice("wasmount-".length));
    }
    return filters;
  }

  it("stand in the order of their numbers, around what is the mesh's own", () => {
    for (const direction of ["in", "out", "gw"]) {
      const of = (phase: string) => [1, 2, 3].map(number => `${direction}-${phase}-0${number}`);
      assert.deepEqual(chain(direction), [...of("first"), "own", ...of("last"), "router"]);
    }
  });

  it("are for the traffic of their direction, and read their own file, denying until it is good", () => {
    const patch = patchOf("wasmount-gw-last-02");
    assert.equal(patch["match"]["context"], "GATEWAY");
    assert.deepEqual(patch["patch"]["value"]["config_discovery"]["config_source"]["path_config_source"], {
      path: "/wasmount/filters/gw-last-02.yaml",
      watched_directory: { path: "/wasmount/filters" },
    });
    assert.deepEqual(patch["patch"]["value"]["config_discovery"]["default_config"]["rules"], {});
    assert.deepEqual(slotFilter("gw-last-02", "istio-system", "/wasmount"), named("wasmount-gw-last-02"));
  });

  it("deny in the guard what reaches tcp_proxy", () => {
    const patch = patchOf("wasmount-http-only");
    assert.equal(patch["applyTo"], "NETWORK_FILTER");
    assert.equal(patch["match"]["listener"]["filterChain"]["filter"]["name"], "envoy.filters.network.tcp_proxy");
    assert.deepEqual(patch["patch"]["value"]["typed_config"]["rules"], {});
  });
});

describe("an EnvoyFilter of the cluster", () => {
  const installed = slotFilter("in-last-01", "istio-system", "/wasmount");
  const isSlot = (stored: StoredFilter) => isSlotFilter(stored, "istio-system", "/wasmount");
  const labelled = (labels: Readonly<Record<string, string>>): StoredFilter => ({
    ...installed,
    metadata: { ...installed.metadata, labels: { ...installed.metadata.labels, ...labels } },
  });

  it("is a slot as it was installed, whatever else labels it", () => {
    assert.equal(isSlot(installed), true);
    assert.equal(isSlot(labelled({ "app.kubernetes.io/managed-by": "Helm", "istio.io/tag": "x" })), true);
    assert.equal(isSlot(slotFilter("http-only", "istio-system", "/wasmount")), true);
  });

  it("is none where it is for one revision of Istio, whichever", () => {
    for (const revision of ["default", "canary", ""]) {
      assert.equal(isSlot(labelled({ "istio.io/rev": revision })), false, revision);
    }
  });

  it("is none under another name, without its label, or with another patch", () => {
    assert.equal(isSlot({ ...installed, metadata: { ...installed.metadata, name: "wasmount-in-last-02" } }), false);
    assert.equal(isSlot({ ...installed, metadata: { name: installed.metadata.name } }), false);
    assert.equal(isSlot({ ...installed, spec: { ...installed.spec, priority: 7 } }), false);
    assert.equal(isSlotFilter(installed, "istio-system", "/elsewhere"), false);
  });
});
