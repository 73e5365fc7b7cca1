import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeFolder } from "../src/folder.ts";
import { unavailable } from "./environment/requirement.ts";

describe("a folder that is to be there", () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "wasmount-folder-"));
  });
  afterEach(() => rm(root, { recursive: true }));

  it("is made with those above it, and each that was made is told", async () => {
    const made: string[] = [];
    makeFolder(join(root, "a/b"), folder => made.push(folder));
    makeFolder(join(root, "a/c"), folder => made.push(folder));
    makeFolder(join(root, "a/c"), folder => made.push(folder));
    assert.deepEqual(
      made,
      ["a", "a/b", "a/c"].map(name => join(root, name)),
    );
    assert.ok((await stat(join(root, "a/b"))).isDirectory());
  });

  it("is refused below a file", async () => {
    await writeFile(join(root, "file"), "");
    assert.throws(() => makeFolder(join(root, "file/a")), { code: "ENOTDIR" });
  });

  it("is refused, and not tried for ever, by a file system that takes none", function () {
    if (!existsSync("/proc/self")) unavailable(this, "it has no procfs");
    const script = `import { makeFolder } from ${JSON.stringify(import.meta.resolve("../src/folder.ts"))}; makeFolder("/proc/x/y");`;
    // A process of its own, since what never comes back can't be timed out from within.
    const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { timeout: 8_000 });
    assert.equal(status, 1, "it ended by itself");
    assert.match(stderr.toString(), /ENOENT: no such file or directory, mkdir '\/proc\/x'/);
  });
});
