import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { dashboard } from "../../docs/dashboard.ts";
import { generated } from "../../docs/generate.ts";
import { createMetrics } from "../../src/observe/metrics.ts";

describe("what is written from the code", () => {
  for (const [path, text] of Object.entries(generated)) {
    it(`is up to date: ${path} (npm run docs)`, async () => {
      assert.equal(await readFile(new URL(`../../${path}`, import.meta.url), "utf8"), text());
    });
  }

  it("shows each of our metrics on the dashboard, and none that there is not", async () => {
    const { text } = await createMetrics().expose();
    const exposed = new Set([...text.matchAll(/^# HELP (wasmount_\w+)/gm)].map(([, name]) => name));
    const shown = new Set(
      [...JSON.stringify(dashboard()).matchAll(/wasmount_\w+/g)].map(([name]) => name.replace(/_bucket$/, "")),
    );
    assert.deepEqual([...shown].sort(), [...exposed].sort());
  });
});
