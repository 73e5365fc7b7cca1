import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { filter } from "../wasm/filter.ts";

const launcher = fileURLToPath(new URL("../../bin/wasmount.js", import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `wasmount check` as a user would. */
async function check(args: readonly string[], input: Uint8Array = new Uint8Array(0)): Promise<Ended> {
  const child = spawn(process.execPath, [launcher, "check", ...args], { stdio: "pipe" });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", chunk => {
    stdout += chunk;
  });
  child.stderr.on("data", chunk => {
    stderr += chunk;
  });
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  return { code, stdout, stderr };
}

describe("wasmount check", () => {
  let folder: string;
  let good: string;
  let bad: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-check-"));
    good = join(folder, "good.wasm");
    bad = join(folder, "bad.wasm");
    await writeFile(good, filter());
    await writeFile(bad, filter({ functions: {}, imports: [["env", "proxy_lgo", "iii:i"]] }));
  });

  after(() => rm(folder, { recursive: true }));

  it("describes a good module and exits with 0", async () => {
    const { code, stdout, stderr } = await check([good]);
    assert.equal(code, 0);
    assert.match(stdout, /good\.wasm: Envoy 1\.40 can load it\n.*ABI {7}0\.2\.1\n/s);
    assert.equal(stderr, "");
  });

  it("gives every reason for a refused module and exits with 1", async () => {
    const { code, stdout } = await check([good, bad]);
    assert.equal(code, 1);
    assert.match(stdout, /bad\.wasm: refused for Envoy 1\.40, for 2 reasons/);
    assert.match(stdout, /NoMalloc: .*\n.*UnknownImport: .*did you mean proxy_log\?/);
  });

  it("prints one JSON document for all files", async () => {
    const { code, stdout } = await check(["--json", good, bad, join(folder, "missing.wasm")]);
    assert.equal(code, 2);
    const { envoyVersion, modules } = JSON.parse(stdout);
    assert.equal(envoyVersion, "1.40");
    assert.deepEqual(
      modules.map((module: { file: string; ok?: boolean; abi?: string }) => [module.file, module.ok, module.abi]),
      [
        [good, true, "0.2.1"],
        [bad, false, "0.2.1"],
        [join(folder, "missing.wasm"), undefined, undefined],
      ],
    );
    assert.match(modules[2].error, /ENOENT/);
  });

  it("reads the standard input", async () => {
    assert.equal((await check(["-"], filter())).code, 0);
    assert.equal((await check(["-"], filter().subarray(0, 50))).code, 1);
  });

  it("checks for the release that was asked for", async () => {
    const newer = filter({ imports: [["wasi_snapshot_preview1", "path_unlink_file", "iii:i"]] });
    const { code, stdout } = await check(["--envoy-version", "v1.38.2", "-"], newer);
    assert.equal(code, 1);
    assert.match(stdout, /ImportNeedsEnvoy: .*from 1\.39 on; this check is for Envoy 1\.38/);
    assert.equal((await check(["--envoy-version", "1.39", "-"], newer)).code, 0);
  });

  it("exits with 2 for a file that can't be read and for wrong usage", async () => {
    for (const args of [
      [join(folder, "missing.wasm")],
      [folder],
      [],
      ["--envoy-version", "newest", good],
      ["--what", good],
    ]) {
      const { code, stderr } = await check(args);
      assert.equal(code, 2, args.join(" "));
      assert.notEqual(stderr, "");
    }
  });

  it("explains itself", async () => {
    const { code, stdout } = await check(["--help"]);
    assert.equal(code, 0);
    assert.match(stdout, /Examples:\n.*wasmount check filter\.wasm/);
    assert.match(stdout, /Exit codes: 0/);
  });
});
