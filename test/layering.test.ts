import assert from "node:assert/strict";
import { globSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** The folders of src as ARCHITECTURE.md lists them, the uppermost first. */
function listedFolders(): string[] {
  const text = readFileSync(`${root}ARCHITECTURE.md`, "utf8");
  const [, list = ""] = /```\nsrc\/\n((?: {2}.*\n)+)/.exec(text) ?? [];
  return [...list.matchAll(/^ {2}([a-z]+)\/ /gm)].map(([, folder = ""]) => folder);
}

describe("the folders of src", () => {
  it("are all in ARCHITECTURE.md, once", () => {
    const there = readdirSync(`${root}src`, { withFileTypes: true }).filter(entry => entry.isDirectory());
    assert.deepEqual(listedFolders().sort(), there.map(({ name }) => name).sort());
  });

  it("import from below, never from above", () => {
    const folders = listedFolders();
    const upward: string[] = [];
    for (const file of globSync("src/*/**/*.ts", { cwd: root })) {
      const [, folder = ""] = file.split("/");
      const source = readFileSync(root + file, "utf8");
      for (const [, imported = ""] of source.matchAll(/(?:from|import\()\s*"(?:\.\.\/)+([a-z]+)\//g)) {
        if (folders.indexOf(imported) < folders.indexOf(folder)) upward.push(`${file} imports ${imported}/`);
      }
    }
    assert.deepEqual(upward, []);
  });
});
