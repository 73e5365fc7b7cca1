import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";

const sources = new URL("../../src/", import.meta.url);

/** All files, and modules of Node and packages, that a file imports, whatever way: nobody can forget a flag. */
function reachable(entry: string): Set<string> {
  const found = new Set<string>();
  const visit = (url: URL) => {
    const name = relative(fileURLToPath(sources), fileURLToPath(url));
    if (found.has(name)) return;
    found.add(name);
    for (const [, specifier = ""] of readFileSync(url, "utf8").matchAll(IMPORTS)) {
      if (specifier.startsWith(".")) visit(new URL(specifier, url));
      else found.add(specifier);
    }
  };
  visit(new URL(entry, sources));
  return found;
}

const IMPORTS = /(?:\bfrom|\bimport|\brequire)\s*\(?\s*["'`]([^"'`]+)["'`]/g;
/** What runs programs, or gets at what does. */
const RUNNERS = ["node:child_process", "child_process", "node:cluster", "cluster", "node:module", "module"];

describe("credential helpers", () => {
  it("are what this test can find", () => {
    const found = reachable("docker/local-credentials.ts");
    assert.ok(found.has("docker/credential-helper.ts"));
    assert.ok(found.has("node:child_process"));
  });

  // The plain core of `inject` runs on manifests of strangers, and so counts among them.
  for (const entry of ["webhook/serve.ts", "fetcher/run.ts", "inject/run.ts"]) {
    it(`are out of reach for ${entry}, as is whatever else runs programs`, () => {
      const found = reachable(entry);
      assert.ok(found.has("oci/client.ts") && found.size > 30, "the imports were not followed");
      const wrong = [...found].filter(name => name.startsWith("docker/") || RUNNERS.includes(name));
      assert.deepEqual(wrong, []);
    });
  }
});
