import assert from "node:assert/strict";
import { HeldObjects } from "../../src/kube/held-objects.ts";
import type { ObjectMetadata } from "../../src/kube/object-metadata.ts";

const object = (namespace: string, name: string, owner = ""): ObjectMetadata => ({
  namespace,
  name,
  owner,
  resourceVersion: "1",
  labels: { app: name },
  annotations: {},
});

describe("held objects", () => {
  let changes: string[];
  let held: HeldObjects<ObjectMetadata>;

  beforeEach(() => {
    changes = [];
    held = new HeldObjects({
      reduce: whole => ({ ...whole, labels: {} }),
      changed: (before, after) => changes.push(`${before?.owner ?? "-"} ${after?.owner ?? "-"}`),
    });
  });

  it("are found by namespace and name, reduced", () => {
    held.set(object("a", "x", "u1"));
    held.set(object("", "x", "u2"));
    const found = ["a/x", "x", "b/x"].map(key => held.get(key));
    assert.deepEqual(
      found.map(each => each?.owner),
      ["u1", "u2", undefined],
    );
    assert.deepEqual(found[0]?.labels, {});
    assert.equal(held.size, 2);
  });

  it("tell of each change once", () => {
    held.set(object("a", "x", "u1"));
    held.set(object("a", "x", "u2"));
    held.delete(object("a", "x", "whatever"));
    held.delete(object("a", "x", "whatever"));
    assert.deepEqual(changes, ["- u1", "u1 u2", "u2 -"]);
  });

  it("tell what a list changed: what is new, what is other, what is gone", () => {
    for (const [name, owner] of [
      ["x", "u1"],
      ["y", "u2"],
    ] as const)
      held.set(object("a", name, owner));
    changes = [];
    const list = new Map<string, ObjectMetadata>();
    held.collect([object("a", "y", "u3"), object("a", "z", "u4")], list);
    assert.deepEqual([changes, held.size], [[], 2]);
    held.replace(list);
    assert.deepEqual(changes.sort(), ["- u4", "u1 -", "u2 u3"]);
    assert.deepEqual(held.get("a/z")?.labels, {});
  });
});
