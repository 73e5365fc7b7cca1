import assert from "node:assert/strict";
import { readSibling } from "../../src/envoy/sibling.ts";
import { siblings } from "./siblings.ts";

describe("readSibling", () => {
  for (const { title, name, content, kind } of siblings) {
    it(`takes ${title} for ${kind}`, () => {
      const sibling = readSibling(`/etc/envoy/${name}`, content);
      assert.equal(sibling.kind, kind, JSON.stringify(sibling));
    });
  }
});
