import assert from "node:assert/strict";
import { isSlotPatch, slotPatch, slotPatches } from "../../src/dataplanes/kuma-slots.ts";

const place = { namespace: "kuma-system", mesh: "default", root: "/wasmount" };

// biome-ignore lint/suspicious/noExplicitAny: a document, read like one
type Document = any;

const modifications = (slot: string): Document[] =>
  (slotPatch(slot, place).spec as Document).default.appendModifications;

describe("the MeshProxyPatches of slots", () => {
  const all = slotPatches("kuma-system", "default", 3, "/wasmount");

  it("are one a place in each phase of both directions, and the guard, in Kuma's own namespace", () => {
    assert.equal(all.length, 2 * 2 * 3 + 1);
    assert.equal(new Set(all.map(({ metadata }) => metadata.name)).size, all.length);
    for (const { metadata } of all) {
      assert.equal(metadata.namespace, "kuma-system");
      assert.equal(metadata.labels?.["kuma.io/mesh"], "default");
    }
  });

  it("are others in another mesh, which stand beside them", () => {
    const others = slotPatches("kuma-system", "payments", 3, "/wasmount");
    assert.equal(new Set([...all, ...others].map(({ metadata }) => metadata.name)).size, 2 * all.length);
    for (const { metadata } of others) assert.equal(metadata.labels?.["kuma.io/mesh"], "payments");
  });

  it("select Dataplanes by a label that is theirs alone", () => {
    const selected = all.map(({ spec }) => Object.keys((spec as Document).targetRef.labels));
    assert.equal(new Set(selected.flat()).size, all.length);
    for (const { spec } of all) assert.equal((spec as Document).targetRef.kind, "Dataplane");
  });

  /** What Kuma does with them: the last name of the alphabet first, each at the front or before the router. */
  function chain(direction: string): string[] {
    const filters = ["own", "router"];
    const patches = all
      .filter(({ metadata }) => metadata.labels?.["wasmount.dev/slot"]?.startsWith(`${direction}-`))
      .toSorted((a, b) => (a.metadata.name < b.metadata.name ? 1 : -1));
    for (const { metadata, spec } of patches) {
      const [{ httpFilter }] = (spec as Document).default.appendModifications;
      filters.splice(
        httpFilter.operation === "AddFirst" ? 0 : filters.indexOf("router"),
        0,
        metadata.labels?.["wasmount.dev/slot"] ?? "",
      );
    }
    return filters;
  }

  it("stand in the order of their numbers, around what is the mesh's own", () => {
    for (const direction of ["in", "out"]) {
      const of = (phase: string) => [1, 2, 3].map(number => `${direction}-${phase}-0${number}`);
      assert.deepEqual(chain(direction), [...of("first"), "own", ...of("last"), "router"]);
    }
  });

  it("keep that order with as many as there may be", () => {
    const many = slotPatches("kuma-system", "default", 99, "/wasmount").flatMap(({ metadata }) =>
      metadata.labels?.["wasmount.dev/slot"]?.startsWith("in-last-") ? [metadata.name] : [],
    );
    assert.deepEqual(many.toSorted().toReversed(), many);
  });

  it("are for the traffic of their direction, and read their own file, denying until it is good", () => {
    const [{ httpFilter }] = modifications("out-last-02");
    assert.deepEqual(httpFilter.match, { name: "envoy.filters.http.router", origin: "outbound" });
    const { name, config_discovery } = JSON.parse(httpFilter.value);
    assert.equal(name, "wasmount.out-last-02");
    assert.deepEqual(config_discovery.config_source.path_config_source, {
      path: "/wasmount/filters/out-last-02.yaml",
      watched_directory: { path: "/wasmount/filters" },
    });
    assert.deepEqual(config_discovery.default_config.rules, {});
    assert.equal(modifications("in-first-01")[0].httpFilter.match.origin, "inbound");
  });

  it("deny in the guard what reaches tcp_proxy, of Services' ports and of all others", () => {
    const guards = modifications("http-only").map(({ networkFilter }) => networkFilter);
    for (const { operation, match, value } of guards) {
      assert.deepEqual([operation, match.name], ["AddBefore", "envoy.filters.network.tcp_proxy"]);
      assert.deepEqual(JSON.parse(value).typed_config.rules, {});
    }
    assert.deepEqual(
      guards.map(({ match: { origin, listenerName } }) => `${origin} ${listenerName ?? "all"}`),
      [
        "inbound all",
        "transparent inbound:passthrough:ipv4",
        "transparent self_transparentproxy_passthrough_inbound_ipv4",
        "transparent inbound:passthrough:ipv6",
        "transparent self_transparentproxy_passthrough_inbound_ipv6",
      ],
    );
  });
});

describe("a MeshProxyPatch of the cluster", () => {
  const wanted = slotPatch("in-last-01", place);
  const [modification] = modifications("in-last-01");
  const stored = (changes: Document = {}, labels = {}): Document => ({
    metadata: { name: wanted.metadata.name, labels: { ...wanted.metadata.labels, ...labels } },
    spec: { ...structuredClone(wanted.spec), ...changes },
  });
  const written = (value: string, match = modification.httpFilter.match) => ({
    default: { appendModifications: [{ httpFilter: { ...modification.httpFilter, match, value } }] },
  });

  it("counts where it says the same, however its YAML is written and whatever Kuma adds to its labels", () => {
    assert.ok(isSlotPatch(stored(), place));
    assert.ok(isSlotPatch(stored({}, { "kuma.io/policy-role": "system", "kuma.io/zone": "one" }), place));
    assert.ok(isSlotPatch(stored(written(JSON.stringify(JSON.parse(modification.httpFilter.value), null, 2))), place));
  });

  const others: readonly (readonly [string, Document])[] = [
    ["allows until its file is good", stored(written(modification.httpFilter.value.replace('"rules":{}', '"x":{}')))],
    ["reads another file", stored(written(modification.httpFilter.value.replaceAll("/wasmount/filters", "/tmp")))],
    ["is for other traffic", stored(written(modification.httpFilter.value, { name: "x", origin: "inbound" }))],
    ["says what is no YAML", stored(written("{"))],
    ["selects others", stored({ targetRef: { kind: "Dataplane", labels: { app: "shop" } } })],
    ["says more", stored({ other: 1 })],
    ["has no spec", { ...stored(), spec: undefined }],
    ["is only shown", stored({}, { "kuma.io/effect": "shadow" })],
    ["is of another mesh", stored({}, { "kuma.io/mesh": "payments" })],
    ["is another slot's", stored({}, { "wasmount.dev/slot": "in-last-02" })],
  ];
  for (const [what, object] of others) {
    it(`does not count where it ${what}`, () => assert.equal(isSlotPatch(object, place), false));
  }
});
