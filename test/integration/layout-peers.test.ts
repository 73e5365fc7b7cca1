import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { binaryOf } from "../environment/cluster/binaries.ts";
import { findGo } from "../environment/cluster/go.ts";
import { runCommand } from "../environment/command.ts";
import { type DistributionRegistry, startDistributionRegistry } from "../environment/distribution-registry.ts";
import { unavailable } from "../environment/requirement.ts";
import { spawnChecked } from "../environment/spawn.ts";
import { GOOD_MODULE } from "../images/modules.ts";
import { temporaryFolder } from "../store/temporary-folder.ts";

describe("layout folders and tar files, between us, oras and crane", function () {
  this.timeout(10 * 60_000);
  const path = temporaryFolder();
  let registry: DistributionRegistry;
  let oras: string;
  let crane: string;

  before(async function () {
    const problem = await findGo().then(
      () => null,
      (error: Error) => error.message,
    );
    if (problem !== null) unavailable(this, problem);
    const progress = (line: string) => console.log(`      ${line}`);
    [oras, crane] = [await binaryOf("oras", progress), await binaryOf("crane", progress)];
  });

  beforeEach(async () => {
    await writeFile(path("filter.wasm"), GOOD_MODULE);
    await mkdir(path("registry"));
    registry = await startDistributionRegistry(path("registry"), "127.0.0.1");
  });

  afterEach(() => registry?.stop());

  async function wasmount(...args: readonly string[]): Promise<string> {
    const env = { ...process.env, DOCKER_CONFIG: path("docker"), WASMOUNT_STORE: path("store") };
    const { code, stdout, stderr } = await runCommand(args, { cwd: path(), env });
    assert.equal(code, 0, stderr);
    return stdout.trim();
  }

  const peer = (program: string, ...args: readonly string[]) => spawnChecked(program, args, { cwd: path() });
  const digestIn = (text: string) => /sha256:[a-f0-9]{64}/.exec(text)?.[0];

  it("oras reads what we write: module, digest and signature", async () => {
    const digest = digestIn(await wasmount("push", "filter.wasm", `${registry.address}/ours:1`));
    await writeFile(path("note.txt"), "signed");
    await peer(
      oras,
      "attach",
      "--plain-http",
      "--no-tty",
      "--artifact-type",
      "example/signature",
      `${registry.address}/ours:1`,
      "note.txt",
    );
    await wasmount("copy", "-r", `${registry.address}/ours:1`, "oci:folder:1");
    await wasmount("copy", "-r", "oci:folder:1", "oci-archive:image.tar:1");
    for (const layout of ["folder:1", "image.tar:1"]) {
      assert.equal((await peer(oras, "resolve", "--oci-layout", layout)).trim(), digest);
      assert.match(await peer(oras, "discover", "--oci-layout", layout), /example\/signature/);
      await peer(oras, "pull", "--oci-layout", "--no-tty", "-o", "pulled", layout);
      assert.deepEqual(await readFile(path("pulled/filter.wasm")), GOOD_MODULE);
    }
  });

  it("we read what oras writes, attachments included", async () => {
    await peer(oras, "push", "--oci-layout", "--no-tty", "theirs:1", "filter.wasm:application/wasm");
    await writeFile(path("note.txt"), "signed");
    await peer(
      oras,
      "attach",
      "--oci-layout",
      "--no-tty",
      "--artifact-type",
      "example/signature",
      "theirs:1",
      "note.txt",
    );
    await wasmount("pull", "oci:theirs:1", "-o", "out.wasm");
    assert.deepEqual(await readFile(path("out.wasm")), GOOD_MODULE);
    await wasmount("copy", "-r", "oci:theirs:1", `${registry.address}/theirs:1`);
    assert.match(await peer(oras, "discover", "--plain-http", `${registry.address}/theirs:1`), /example\/signature/);
  });

  it("signed images are found again without a name, whoever wrote the layout", async () => {
    const digest = digestIn(await wasmount("push", "filter.wasm", `${registry.address}/ours:1`));
    await writeFile(path("note.txt"), "signed");
    const attach = ["attach", "--plain-http", "--no-tty", "--artifact-type", "example/signature"];
    await peer(oras, ...attach, `${registry.address}/ours:1`, "note.txt");
    await wasmount("copy", "-r", `${registry.address}/ours:1`, "oci:folder");
    await wasmount("copy", "-r", `${registry.address}/ours:1`, "oci-archive:image.tar");
    const from = ["--from-plain-http", "--no-tty", "-r", `${registry.address}/ours:1`];
    await peer(oras, "copy", ...from, "--to-oci-layout", `theirs@${digest}`);
    for (const [at, place] of ["oci:folder", "oci-archive:image.tar", "oci:theirs"].entries()) {
      assert.equal(digestIn(await wasmount("copy", "-r", place, `${registry.address}/back${at}:1`)), digest);
      const discovered = await peer(oras, "discover", "--plain-http", `${registry.address}/back${at}:1`);
      assert.match(discovered, /example\/signature/);
    }
    assert.match(await peer(oras, "discover", "--oci-layout", `folder@${digest}`), /example\/signature/);
  });

  it("crane reads what we write, and we read what crane writes", async () => {
    const digest = digestIn(await wasmount("push", "filter.wasm", "oci:folder:1", "--layout", "compat"));
    await peer(crane, "push", "--insecure", "folder", `${registry.address}/crane:1`);
    await peer(crane, "pull", "--insecure", "--format", "oci", `${registry.address}/crane:1`, "back");
    assert.equal(digestIn(await wasmount("pull", "oci:back", "-o", "out.wasm")), digest);
    assert.deepEqual(await readFile(path("out.wasm")), GOOD_MODULE);
  });
});
