import assert from "node:assert/strict";
import { entryOf } from "../../src/admission/entry.ts";
import { sampleNamespace } from "./pods.ts";

describe("the entry of a namespace", () => {
  const cases: [inject: string | null, locked: string | null, entry: string][] = [
    [null, null, "pod"],
    ["false", null, "pod"],
    ["true", null, "namespace"],
    ["junk", null, "namespace"],
    ["", "false", "namespace"],
    [null, "false", "pod"],
    ["true", "true", "locked"],
    [null, "true", "locked"],
    ["false", "junk", "locked"],
  ];
  for (const [inject, locked, entry] of cases) {
    it(`inject ${inject ?? "unset"}, locked ${locked ?? "unset"}: ${entry}`, () => {
      const labels = {
        ...(inject !== null && { "wasmount.dev/inject": inject }),
        ...(locked !== null && { "wasmount.dev/locked": locked }),
      };
      assert.equal(entryOf(sampleNamespace({ labels })), entry);
    });
  }
});
