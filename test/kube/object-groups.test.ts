import assert from "node:assert/strict";
import { HeldObjects } from "../../src/kube/held-objects.ts";
import { ObjectGroups } from "../../src/kube/object-groups.ts";
import type { Watched } from "../../src/kube/watched-kind.ts";

const object = (namespace: string, name: string, resourceVersion = "1"): Watched => ({
  namespace,
  name,
  resourceVersion,
});

describe("groups of held objects", () => {
  let groups: ObjectGroups<Watched>;
  let held: HeldObjects<Watched>;

  beforeEach(() => {
    groups = new ObjectGroups(({ name }) => name);
    held = new HeldObjects({ changed: (before, after) => groups.change(before, after) });
  });

  it("have what is held, and of each object the last version", () => {
    held.set(object("a", "x"));
    held.set(object("b", "x"));
    held.set(object("a", "y"));
    held.set(object("a", "x", "2"));
    assert.deepEqual(groups.of("x"), [object("a", "x", "2"), object("b", "x")]);
    assert.deepEqual(groups.of("y"), [object("a", "y")]);
    assert.deepEqual(groups.of("z"), []);
  });

  it("end with their last object", () => {
    held.set(object("a", "x"));
    held.set(object("b", "x"));
    held.delete(object("a", "x"));
    assert.equal(groups.has("x"), true);
    held.delete(object("b", "x"));
    assert.equal(groups.has("x"), false);
    held.delete(object("b", "x"));
  });

  it("follow a list that replaces all", () => {
    held.set(object("a", "x"));
    held.set(object("a", "y"));
    const list = new Map<string, Watched>();
    held.collect([object("a", "y", "2"), object("b", "y")], list);
    held.replace(list);
    assert.equal(groups.has("x"), false);
    assert.deepEqual(groups.of("y"), [object("a", "y", "2"), object("b", "y")]);
  });
});
