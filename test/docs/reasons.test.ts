import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { reasonsPage } from "../../docs/generate.ts";

describe("docs/reasons.md", () => {
  it("is what the list of reasons makes of it: npm run docs", async () => {
    assert.equal(await readFile(new URL("../../docs/reasons.md", import.meta.url), "utf8"), reasonsPage());
  });
});
