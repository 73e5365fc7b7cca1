import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { LayoutFolder } from "../../src/store/layout-folder.ts";
import { temporaryFolder } from "../store/temporary-folder.ts";

describe("local store", () => {
  const path = temporaryFolder();

  it("loses no name where many processes write at once, one of them killed", async () => {
    const layout = await LayoutFolder.create(path("images"));
    const writer = fileURLToPath(new URL("../store/index-writer.ts", import.meta.url));
    const start = (...args: string[]) => spawn(process.execPath, [writer, layout.path, ...args], { stdio: "pipe" });
    const killed = start("hold");
    await once(killed.stdout, "data");
    const writers = ["a", "b", "c"].map(name => start(name, "10"));
    killed.kill("SIGKILL");
    const codes = await Promise.all(writers.map(async child => (await once(child, "close"))[0]));
    assert.deepEqual(codes, [0, 0, 0]);
    assert.equal((await layout.index()).length, 30);
  }).timeout(120_000);
});
