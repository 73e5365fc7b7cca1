import assert from "node:assert/strict";
import { readServiceDefaults, serviceDefaults, stateAmong } from "../../src/dataplanes/consul-service.ts";
import { filterIn } from "./filters.ts";

const wanted = serviceDefaults("shop", "shop", [filterIn("in-last-01"), filterIn("in-last-02")], "/wasmount");
const [first, second] = wanted.spec["envoyExtensions"] as readonly object[];

// biome-ignore lint/suspicious/noExplicitAny: a document, written like one
function stored(spec: any = {}, { status = "True", name = "shop", namespace = "shop" } = {}) {
  return readServiceDefaults({
    metadata: { name, namespace, resourceVersion: "1" },
    spec: { ...wanted.spec, ...spec },
    status: { conditions: [{ type: "Synced", status }] },
  });
}

const state = (...all: ReturnType<typeof stored>[]) => stateAmong(all, wanted, null);

describe("a service's ServiceDefaults", () => {
  it("attaches the filters where it has them in their order, whatever else it says", () => {
    assert.equal(state(stored({}, { name: "other" }), stored()), "Attached");
    const envoyExtensions = [{ name: "builtin/lua" }, first, { name: "builtin/ext-authz" }, second];
    assert.equal(state(stored({ envoyExtensions, maxInboundConnections: 3 })), "Attached");
  });

  it("is found in any namespace, but for Consuls that have namespaces themselves", () => {
    assert.equal(state(stored({}, { namespace: "config" })), "Attached");
    assert.equal(stateAmong([stored({}, { namespace: "config" })], wanted, "shop"), "Missing");
    assert.equal(stateAmong([stored({}, { namespace: "config" }), stored()], wanted, "shop"), "Attached");
  });

  it("is missing where there is none of its name", () => {
    assert.equal(state(), "Missing");
    assert.equal(state(stored({}, { name: "other" })), "Missing");
  });

  // biome-ignore lint/suspicious/noExplicitAny: documents, written like ones
  const others: readonly (readonly [string, any])[] = [
    ["has another protocol", { protocol: "tcp" }],
    ["has no protocol", { protocol: undefined }],
    ["lets plain connections pass", { mutualTLSMode: "permissive" }],
    ["leaves them to the mesh", { mutualTLSMode: undefined }],
    ["lacks a filter", { envoyExtensions: [first] }],
    ["has them in another order", { envoyExtensions: [second, first] }],
    ["does not require one", { envoyExtensions: [{ ...first, required: false }, second] }],
    ["has no extensions", { envoyExtensions: undefined }],
    ["has what is no list", { envoyExtensions: "all" }],
  ];
  for (const [what, spec] of others) {
    it(`differs where it ${what}`, () => assert.equal(state(stored(spec)), "Differs"));
  }

  it("differs where there are two of its name, of which Consul has one", () => {
    assert.equal(state(stored(), stored({}, { namespace: "config" })), "Differs");
  });

  it("does not count before Consul has it", () => {
    assert.equal(state(stored({}, { status: "False" })), "NotSynced");
    const bare = readServiceDefaults({ metadata: { name: "shop", namespace: "shop" }, spec: wanted.spec });
    assert.equal(state(bare), "NotSynced");
  });

  it("does not count when it is being deleted: Consul loses it before Kubernetes does", () => {
    const { protocol, mutualTLSMode, envoyExtensions } = wanted.spec;
    const object = (more: object) =>
      readServiceDefaults({
        metadata: { name: "shop", namespace: "shop", finalizers: ["finalizers.consul.hashicorp.com"], ...more },
        spec: { protocol, mutualTLSMode, envoyExtensions },
        status: { conditions: [{ type: "Synced", status: "True" }] },
      });
    assert.equal(state(object({})), "Attached");
    assert.equal(state(object({ deletionTimestamp: "2026-01-01T00:00:00Z" })), "NotSynced");
  });

  it("is held no further than it is needed", () => {
    const large = (bytes: number) => ({
      name: "builtin/wasm",
      arguments: { PluginConfig: { Name: "x".repeat(bytes) } },
    });
    const lua = { name: "builtin/lua", arguments: { Script: "x".repeat(300 * 1024) } };
    const held = stored({ envoyExtensions: [lua, null, "lua", first, second, large(200 * 1024)] });
    assert.deepEqual(held.extensions.slice(0, 2), [first, second]);
    assert.equal(held.extensions.length, 3);
    assert.equal(state(held), "Attached");
    const beyond = stored({ envoyExtensions: [first, second, large(256 * 1024)], protocol: "x".repeat(65) });
    assert.deepEqual([beyond.extensions, beyond.protocol], [[], null]);
    assert.equal(state(stored({ envoyExtensions: [first, second, large(256 * 1024)] })), "Differs");
  });

  it("is not read from what is no object", () => {
    for (const object of [
      null,
      [],
      { metadata: null },
      { metadata: { name: 1 } },
      { metadata: { name: "x" }, spec: [] },
    ]) {
      assert.throws(() => readServiceDefaults(object), /ServiceDefaults/);
    }
  });
});
