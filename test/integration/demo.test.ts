import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { messageOf } from "../../src/error.ts";
import { envoyBinary } from "../environment/envoy.ts";
import { unavailable } from "../environment/requirement.ts";

const DEMO = fileURLToPath(new URL("../environment/demo/main.ts", import.meta.url));

describe("the demo", function () {
  this.timeout(3 * 60_000);
  let folder: string;

  before(async function () {
    await envoyBinary().catch(error => unavailable(this, messageOf(error)));
  });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "demo-test-"));
  });

  afterEach(() => rm(folder, { recursive: true }));

  function start(...args: readonly string[]): { child: ChildProcess; output: () => string } {
    const child = spawn(process.execPath, [DEMO, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, TMPDIR: folder, FORCE_COLOR: "1" },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    return { child, output: () => output };
  }

  it("shows the filter at work and the refusal of a changed module, and leaves nothing behind", async () => {
    const { child, output } = start();
    const [code] = await once(child, "exit");
    assert.equal(code, 0, output());
    const added = output()
      .split("\n")
      .filter(line => line.includes("\u001b[32m+"));
    assert.ok(
      added.some(line => line.includes("name: wasmount-fetch")),
      "the patch as a coloured diff",
    );
    assert.match(output(), /x-filtered-by: wasmount/);
    assert.match(output(), /DigestMismatch.*\(exit 4; Envoy was never started\)/);
    assert.match(output(), /demo: ok/);
    assert.deepEqual(await readdir(folder), []);
  });

  it("runs on until Ctrl-C with --keep", async () => {
    const { child, output } = start("--keep");
    const exited = once(child, "exit");
    while (!output().includes("Still running")) {
      const ended = await Promise.race([exited, once(child.stdout!, "data").then(() => null)]);
      if (ended !== null) assert.fail(`it ended:\n${output()}`);
    }
    const [, url = ""] = /curl -i (http:\S+)/.exec(stripVTControlCharacters(output())) ?? [];
    assert.equal((await fetch(url)).headers.get("x-filtered-by"), "wasmount");
    child.kill("SIGINT");
    assert.deepEqual(await exited, [130, null]);
    await assert.rejects(fetch(url));
    assert.deepEqual(await readdir(folder), []);
  });

  it("refuses a kubeconfig without --cluster, and one that isn't there", async () => {
    for (const [args, code, said] of [
      [["--kubeconfig", "x"], 2, /--kubeconfig goes with --cluster/],
      [["--cluster", "--kubeconfig", "/nowhere/config"], 1, /there is no file \/nowhere\/config/],
    ] as const) {
      const { child, output } = start(...args);
      assert.deepEqual(await once(child, "exit"), [code, null]);
      assert.match(output(), said);
    }
  });
});
