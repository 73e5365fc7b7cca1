import assert from "node:assert/strict";
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { compiledPath } from "../../src/cli/compiled-script.ts";
import { FETCHER } from "../../src/cli/image-files.ts";
import { RegistryClient } from "../../src/oci/client.ts";
import { moduleImage } from "../../src/oci/module-image.ts";
import { pushModule } from "../../src/oci/push-module.ts";
import { parseReference } from "../../src/oci/reference.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { noopModule } from "../../src/wasm/noop-module.ts";
import { bundledEntry, type FetcherOptions, runFetcherProcess } from "../environment/fetcher-process.ts";
import { imageNodeOptions } from "../environment/image-entrypoint.ts";
import { type Registry, startRegistry } from "../environment/registry/registry.ts";
import { unavailable } from "../environment/requirement.ts";
import { spawnChecked } from "../environment/spawn.ts";
import { samplePlan } from "../plan/sample.ts";

const REPOSITORY = "filters/sample";
const PASSWORD = "not-for-logs";
/** The user of Istio's sidecars: nobody in particular here. */
const OTHER_USER = 1337;

describe("the fetcher as images run it", function () {
  this.timeout(5 * 60_000);
  let folder: string;
  let program: string;
  let root: string;
  let registry: Registry;
  let mirror: Registry;
  let digest: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-program-"));
    await chmod(folder, 0o755);
    program = await bundledEntry(folder);
    registry = await startRegistry();
    mirror = await startRegistry();
    for (const { address } of [registry, mirror]) {
      const client = new RegistryClient({ registries: [{ host: address, plainHttp: true }] });
      const image = await moduleImage({ module: noopModule, name: "sample", layout: "cncf" });
      const reference = parseReference(`${address}/${REPOSITORY}:1`);
      ({ digest } = await pushModule(client, reference, image).finally(() => client.close()));
    }
  });

  beforeEach(async () => {
    root = await mkdtemp(join(folder, "volume-"));
    await chmod(root, 0o777);
  });

  after(async () => {
    await Promise.all([registry.close(), mirror.close()]);
    await unlock(folder);
    await rm(folder, { recursive: true });
  });

  const plan = (changes: Partial<Plan> = {}): Plan => ({
    ...samplePlan({ repository: `${registry.address}/${REPOSITORY}`, digest }),
    root,
    registries: [{ host: registry.address, plainHttp: true }],
    ...changes,
  });
  const run = (wanted: Plan, options: FetcherOptions = {}) => runFetcherProcess(wanted, { entry: program, ...options });

  describe("ends with a line of JSON", () => {
    it("that says what came, how long it took and whence: the registry, then what the volume has", async () => {
      for (const source of ["registry", "reused"]) {
        const { exitCode, log, summary } = await run(plan());
        assert.equal(exitCode, 0, log);
        assert.equal(log.trimEnd().split("\n").at(-1)?.[0], "{", "it is the last line");
        assert.equal(summary?.exitCode, 0);
        assert.equal(summary.bytes, noopModule.length);
        assert.ok(summary.seconds > 0 && summary.seconds < 300);
        const [{ seconds, sha256, versions, ...module }] = summary.modules as [(typeof summary.modules)[number]];
        assert.deepEqual(module, { filters: ["headers"], digest, bytes: noopModule.length, source });
        assert.deepEqual(await readdir(join(root, "modules")), [`${sha256}.wasm`]);
        const [file = ""] = await readdir(join(root, "filters"));
        const { version_info } = JSON.parse(await readFile(join(root, "filters", file), "utf8"));
        assert.deepEqual(versions, [version_info]);
        assert.ok(seconds <= summary.seconds);
      }
    });

    it("that names a mirror", async () => {
      const mirrors = [{ host: mirror.address, prefix: "", resolveTags: false }];
      const registries = [
        { host: registry.address, plainHttp: true, mirrors },
        { host: mirror.address, plainHttp: true },
      ];
      const { log, summary } = await run(plan({ registries }));
      assert.equal(summary?.modules[0]?.source, "mirror", log);
    });

    it("that counts what does nothing as coming from nowhere", async () => {
      const { filters } = samplePlan({
        repository: `${registry.address}/${REPOSITORY}`,
        digest: `sha256:${"0".repeat(64)}`,
        onFailure: "open",
      });
      const { log, summary } = await run(plan({ filters }));
      assert.equal(summary?.modules[0]?.source, "none", log);
    });

    it("also where it failed, before the reason", async () => {
      const { filters } = samplePlan({
        repository: `${registry.address}/${REPOSITORY}`,
        digest: `sha256:${"0".repeat(64)}`,
      });
      const { summary, lastLine, log } = await run(plan({ filters }));
      assert.deepEqual([summary?.exitCode, summary?.bytes, summary?.modules], [3, 0, []], log);
      assert.match(lastLine, /^wasmount-fetch: NotFound/);
    });

    it("without a secret", async () => {
      const secrets = join(root, "secrets");
      await mkdir(secrets);
      const auths = { [registry.address]: { username: "user", password: PASSWORD } };
      await writeFile(join(secrets, "0.json"), JSON.stringify({ auths }));
      const { exitCode, log } = await run(plan({ pullSecrets: { folder: secrets, names: ["pull"] } }));
      assert.equal(exitCode, 0, log);
      assert.ok(!log.includes(PASSWORD) && !log.includes(Buffer.from(`user:${PASSWORD}`).toString("base64")));
    });
  });

  describe("runs code that was compiled when it was built", () => {
    async function expectCompiled(expected: string, options: FetcherOptions = {}): Promise<void> {
      const { exitCode, log, summary } = await run(plan(), options);
      assert.equal(exitCode, 0, log);
      assert.equal(summary?.compiled, expected);
      assert.equal(summary.bytes, noopModule.length);
    }

    /** The program with another file of compiled code. */
    async function withCompiled(change: (compiled: Buffer) => Buffer | null): Promise<string> {
      const copy = await mkdtemp(join(folder, "changed-"));
      await cp(join(program, ".."), copy, { recursive: true });
      const path = compiledPath(join(copy, FETCHER));
      const changed = change(await readFile(path));
      await rm(path);
      if (changed) await writeFile(path, changed);
      return join(copy, "wasmount.mjs");
    }

    it("and needs none of its own user's", () => expectCompiled("used"));

    it("with the options that the image gives Node", () => expectCompiled("used", { node: imageNodeOptions() }));

    it("as any user", function () {
      if (process.getuid?.() !== 0) unavailable(this, "only root can start a process as another user");
      return expectCompiled("used", { uid: OTHER_USER });
    });

    it("or does without where there is none", async () => {
      await expectCompiled("absent", { entry: await withCompiled(() => null) });
    });

    it("or does without where V8 rejects it: of another version", async () => {
      // Behind the magic number, the hash of V8's version.
      const flip = (byte: number) => ~byte & 0xff;
      const entry = await withCompiled(bytes => Buffer.from(bytes.map((byte, at) => (at === 4 ? flip(byte) : byte))));
      await expectCompiled("rejected", { entry });
    });

    it("or does without where V8 rejects it: cut off", async () => {
      const entry = await withCompiled(bytes => bytes.subarray(0, bytes.length / 2));
      await expectCompiled("rejected", { entry });
    });

    it("or does without where V8 rejects it: of other flags", () => expectCompiled("rejected", { node: ["--no-opt"] }));

    it("or does without where V8 rejects it, as another user too", async function () {
      if (process.getuid?.() !== 0) unavailable(this, "only root can start a process as another user");
      const entry = await withCompiled(bytes => bytes.subarray(0, 16));
      await chmod(join(entry, ".."), 0o755);
      await expectCompiled("rejected", { entry, uid: OTHER_USER });
    });
  });

  it("is one of the command line's verbs all the same", async () => {
    assert.match(await spawnChecked(process.execPath, [program, "fetch", "--help"]), /Exit codes: 0 done/);
    assert.match(await spawnChecked(process.execPath, [program, "--version"]), /^\d+\.\d+\.\d+\n$/);
    await assert.rejects(spawnChecked(process.execPath, [program, "fetch", "what"]), /\(2\)/);
  });

  it("is made of few files: nothing of servers and clusters is among what pods wait for", async () => {
    const names = await readdir(join(program, ".."));
    // Parts that are loaded late are named by what they hold and a hash.
    const late = names.filter(name => /^fetch-[a-z-]+-[0-9A-Z]{8}\.cjs$/.test(name));
    const kinds = late.map(name => name.replace(/-[0-9A-Z]{8}\.cjs$/, "")).sort();
    const verification = ["fetch-chunk", "fetch-image-verification", "fetch-keyless"];
    assert.deepEqual(kinds, [
      "fetch-archive",
      "fetch-bootstrap",
      ...verification,
      "fetch-secure-dialling",
      "fetch-tunnel",
    ]);
    const always = names.filter(name => !late.some(part => name.startsWith(part)) && !name.endsWith(".LEGAL.txt"));
    assert.deepEqual(always.sort(), ["commands.mjs", FETCHER, compiledPath(FETCHER), "wasmount.mjs"]);
    const entryPoints = [fileURLToPath(new URL("../../src/cli/fetch-process.ts", import.meta.url))];
    const { metafile } = await build({ entryPoints, bundle: true, platform: "node", write: false, metafile: true });
    const packages = Object.keys(metafile.inputs).flatMap(
      path => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? [],
    );
    const sigstore = ["@sigstore/bundle", "@sigstore/core", "@sigstore/protobuf-specs", "@sigstore/verify"];
    assert.deepEqual([...new Set(packages)].sort(), [...sigstore, "fastest-levenshtein", "lru-cache", "yaml"]);
  });
});

async function unlock(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await unlock(join(folder, entry.name));
  }
}
