import assert from "node:assert/strict";
import { mergedScopes } from "../../src/oci/scopes.ts";
import { coded } from "./scripted-server.ts";

describe("mergedScopes", () => {
  const cases: [asked: string, challenged: string | null, merged: string[]][] = [
    ["repository:a:pull", null, ["repository:a:pull"]],
    ["repository:a:pull", "", ["repository:a:pull"]],
    ["repository:a:pull", "repository:a:pull", ["repository:a:pull"]],
    ["repository:a:pull,push", "repository:a:pull", ["repository:a:pull,push"]],
    ["repository:a:pull", "repository:a:push,pull", ["repository:a:pull,push"]],
    ["repository:b:pull", "repository:a:pull  repository:b:push", ["repository:a:pull", "repository:b:pull,push"]],
    ["repository:a:pull", "repository:h:5000/a:pull", ["repository:a:pull", "repository:h:5000/a:pull"]],
    ["repository:a:pull", "registry:catalog:* aws", ["aws", "registry:catalog:*", "repository:a:pull"]],
  ];
  for (const [asked, challenged, merged] of cases) {
    it(`of ${asked} and ${challenged}`, () => assert.deepEqual(mergedScopes(asked, challenged), merged));
  }

  it("are the same whoever asks, and in whatever order the registry says them", () => {
    const wanted = mergedScopes("repository:a:pull", "repository:b:push,pull x");
    assert.deepEqual(mergedScopes("repository:a:pull", "x repository:b:pull,push"), wanted);
  });

  for (const challenged of ['a"b', "a\tb", "é", "x".repeat(1025), "a b c d e f g h"]) {
    it(`are refused where the registry says ${JSON.stringify(challenged.slice(0, 20))}`, () => {
      assert.throws(() => mergedScopes("repository:a:pull", challenged), coded("BadChallenge"));
    });
  }
});
