import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { requiredVersion } from "./build.ts";
import { isOlder, oldestGo } from "./go.ts";
import { controlPlaneParts, nodeParts } from "./parts.ts";

const parts = [...controlPlaneParts, ...nodeParts];
const goMod = (folder: string) => readFile(new URL(`../modules/${folder}/go.mod`, import.meta.url), "utf8");

describe("the pins of the cluster's parts", () => {
  for (const { name, folder, requires } of parts) {
    if (!requires) continue;
    it(`has ${name} in go.mod as in versions.ts`, async () => {
      assert.equal(requiredVersion(await goMod(folder), requires.module), requires.version);
    });
  }

  it("ask for the highest Go that a go.mod asks for", async () => {
    const lines = await Promise.all(
      parts.map(async ({ folder }) => /^go (\S+)$/m.exec(await goMod(folder))?.[1] ?? ""),
    );
    const [highest] = lines.toSorted((left, right) => (isOlder(left, right) ? 1 : -1));
    assert.equal(oldestGo, highest);
  });

  it("replace Kubernetes' staging modules by the release of the same number", async () => {
    const text = await goMod("kubernetes");
    const kubernetes = requiredVersion(text, "k8s.io/kubernetes") ?? "";
    const replaced = [...text.matchAll(/^replace (\S+) => (\S+) (\S+)$/gm)];
    assert.ok(replaced.length > 20);
    for (const [, from, to, version] of replaced) {
      assert.deepEqual([to, version], [from, kubernetes.replace(/^v1\./, "v0.")]);
    }
  });
});

describe("the version that a go.mod requires", () => {
  it("is read from a line or a block, not from a replacement", () => {
    assert.equal(requiredVersion("require a.b/c v1.2.3\n", "a.b/c"), "v1.2.3");
    assert.equal(requiredVersion("require (\n\ta.b/c v1.2.3 // indirect\n)\n", "a.b/c"), "v1.2.3");
    assert.equal(requiredVersion("replace a.b/c => a.b/c v1.2.3\n", "a.b/c"), null);
  });
});

describe("a Go version", () => {
  it("is compared number by number", () => {
    assert.equal(isOlder("1.9", "1.26.3"), true);
    assert.equal(isOlder("1.26.3", "1.26.3"), false);
    assert.equal(isOlder("1.26", "1.26.3"), true);
    assert.equal(isOlder("2.0", "1.26.3"), false);
  });
});
