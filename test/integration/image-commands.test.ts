import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RegistryClient } from "../../src/oci/client.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { OCI_EMPTY, OCI_INDEX, OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { blobOf } from "../../src/oci/push.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { type CommandOutcome, runCommand } from "../environment/command.ts";
import { type Registry, startRegistry } from "../environment/registry/registry.ts";
import { GOOD_MODULE } from "../images/modules.ts";
import { descriptorOf, MODULE, manifestBytes } from "../oci/images.ts";

describe("wasmount push, pull, tag, list, inspect and copy", function () {
  // Many processes, one after the other.
  this.timeout(5 * 60_000);
  let folder: string;
  let registry: Registry;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-images-"));
    registry = await startRegistry();
    await writeFile(join(folder, "filter.wasm"), GOOD_MODULE);
    await writeFile(join(folder, "empty.wasm"), MODULE);
    await writeFile(join(folder, "text.wasm"), "no module");
  });

  after(async () => {
    await registry.close();
    await rm(folder, { recursive: true });
  });

  function run(...args: readonly string[]): Promise<CommandOutcome> {
    const env = { ...process.env, WASMOUNT_STORE: join(folder, "store") };
    return runCommand(args, { cwd: folder, env });
  }

  async function good(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await run(...args);
    assert.equal(code, 0, stderr);
    return stdout;
  }

  async function bad(code: number, ...args: readonly string[]): Promise<string> {
    const outcome = await run(...args);
    assert.equal(outcome.code, code, outcome.stderr);
    assert.equal(outcome.stdout, "");
    return outcome.stderr;
  }

  it("share a filter: push, pull, list, tag, push again", async () => {
    const reference = `${registry.address}/team/filter:1.0`;
    const pushed = await good("push", "filter.wasm", reference, "--root-id", "headers");
    assert.match(pushed, new RegExp(`^${reference}@sha256:[a-f0-9]{64}\n$`));
    assert.equal(await good("push", "filter.wasm", reference, "--root-id", "headers"), pushed);

    assert.equal(await good("pull", reference), pushed);
    assert.equal(await good("pull", pushed.trim(), "-o", "pulled.wasm"), pushed);
    assert.deepEqual(await readFile(join(folder, "pulled.wasm")), GOOD_MODULE);

    const other = `${registry.address}/other/filter:2.0`;
    const digest = pushed.trim().slice(reference.length);
    assert.equal(await good("tag", reference, other), `${other}${digest}\n`);
    assert.equal(await good("push", other), `${other}${digest}\n`);
    assert.equal(
      await good("tag", "--remote", other, other.replace("2.0", "stable")),
      `${other.replace("2.0", "stable")}${digest}\n`,
    );

    const { images } = JSON.parse(await good("list", "--json"));
    const names = images.map(({ name, tag, abi }: Record<string, string>) => [name, tag, abi]);
    assert.deepEqual(names, [
      [`${registry.address}/other/filter`, "2.0", "0.2.1"],
      [`${registry.address}/team/filter`, "1.0", "0.2.1"],
    ]);
    assert.match(
      await good("list"),
      /^NAME +TAG +DIGEST +SIZE +ABI +CREATED\n.*\/other\/filter +2\.0 +sha256:[a-f0-9]{12} +\d+ B +0\.2\.1 +-\n/,
    );

    const inspected = JSON.parse(await good("inspect", other, "--json"));
    assert.equal(inspected.digest, digest.slice(1));
    assert.equal(inspected.module.layout, "cncf");
    assert.deepEqual(inspected.module.rootIds, ["headers"]);
    assert.equal(await good("list", `${registry.address}/other/filter`), "2.0\nstable\n");
    assert.match(await good("inspect", `store:${reference}`), /\n {2}ABI +0\.2\.1\n/);
  });

  it("carry an image through a folder and a tar file, byte for byte", async () => {
    const reference = `${registry.address}/air/filter:1`;
    const [, digest = ""] = (await good("push", "filter.wasm", reference, "--layout", "compat")).trim().split("@");
    const copied = await good("copy", "--quiet", reference, "oci:bundle:1");
    assert.equal(copied, `bundle:1@${digest}\n`);
    await good("copy", "-q", "oci:bundle:1", "oci-archive:bundle.tar:1");
    await good("copy", "-q", "oci-archive:bundle.tar", `${registry.address}/inside/filter:1`);
    const back = await good("pull", `${registry.address}/inside/filter:1`, "-o", "back.wasm");
    assert.equal(back, `${registry.address}/inside/filter:1@${digest}\n`);
    assert.deepEqual(await readFile(join(folder, "back.wasm")), GOOD_MODULE);
    const unfinished = (await readdir(folder)).filter(name => name.startsWith("."));
    assert.deepEqual(unfinished, []);
  });

  it("take along what is attached to an image, and say that it is there", async () => {
    const reference = `${registry.address}/signed/filter:1`;
    const [, digest = ""] = (await good("push", "filter.wasm", reference)).trim().split("@");
    const client = new RegistryClient({ registries: [{ host: registry.address, plainHttp: true }] });
    try {
      const subject = await client.resolve(parseReference(reference));
      await client.pushBlob(registry.address, "signed/filter", blobOf(Buffer.from("{}")));
      const artifactType = "application/vnd.dev.sigstore.bundle.v0.3+json";
      const config = descriptorOf(Buffer.from("{}"), OCI_EMPTY);
      const bundle = { bytes: manifestBytes({ subject, artifactType, config }), mediaType: OCI_MANIFEST };
      await client.pushManifest(registry.address, "signed/filter", digestOf(bundle.bytes), bundle);
      const tag = `sha256-${digest.slice("sha256:".length)}.sig`;
      const signature = { bytes: manifestBytes({ config }), mediaType: OCI_MANIFEST };
      await client.pushManifest(registry.address, "signed/filter", tag, signature);
    } finally {
      client.close();
    }
    await good("copy", "-r", reference, "oci-archive:signed.tar:1");
    await good("copy", "-r", "oci-archive:signed.tar:1", `${registry.address}/inside/signed:1`);
    const { attachments } = JSON.parse(await good("inspect", "--json", `${registry.address}/inside/signed:1`));
    const kinds = attachments.map(({ kind }: Record<string, string>) => kind);
    assert.deepEqual(kinds, ["cosign signature", "sigstore bundle"]);
    assert.match(await good("inspect", "oci-archive:signed.tar:1"), /sigstore bundle .*: present, not verified\n/);
  });

  it("take the image of a platform out of an index that leaves a choice", async () => {
    const repository = `${registry.address}/built/filter`;
    const manifests: unknown[] = [];
    const client = new RegistryClient({ registries: [{ host: registry.address, plainHttp: true }] });
    try {
      for (const architecture of ["amd64", "arm64"]) {
        const reference = `${repository}:${architecture}`;
        await good("push", "filter.wasm", reference, "--layout", "compat", "--root-id", architecture);
        const { mediaType, digest, size } = await client.resolve(parseReference(reference));
        manifests.push({ mediaType, digest, size, platform: { os: "linux", architecture } });
      }
      const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
      await client.pushManifest(registry.address, "built/filter", "1", { bytes, mediaType: OCI_INDEX });
    } finally {
      client.close();
    }
    assert.match(await bad(1, "pull", `${repository}:1`), /leaves a choice .*with --platform\n$/);
    await good("pull", `${repository}:1`, "--platform", "linux/arm64", "-o", "arm64.wasm");
    assert.deepEqual(await readFile(join(folder, "arm64.wasm")), GOOD_MODULE);
    const { module } = JSON.parse(await good("pull", `${repository}:1`, "--platform", "linux/amd64", "--json"));
    assert.deepEqual(module.rootIds, ["amd64"]);
    const inspected = await good("inspect", `store:${repository}:1`, "--platform", "linux/arm64");
    assert.match(inspected, /linux\/arm64 \(the one for wasmount\)\n.* {2}root ids +"arm64"\n/s);
    assert.match(await good("list"), /\/built\/filter +1 +sha256:[a-f0-9]{12} +- +0\.2\.1 /);
  });

  it("mount what another repository of the registry has, and send nothing", async () => {
    const reference = `${registry.address}/mounted/filter:1`;
    await good("push", "filter.wasm", reference);
    const before = registry.requests.length;
    await good("copy", reference, `${registry.address}/elsewhere/filter:1`);
    const requests = registry.requests.slice(before);
    assert.deepEqual(
      requests.filter(request => request.startsWith("GET") && request.includes("/blobs/")),
      [],
    );
  });

  it("refuse a module that Envoy can't load, where it is pushed and where it is pulled", async () => {
    const reference = `${registry.address}/bad/filter:1`;
    assert.match(await bad(1, "push", "empty.wasm", reference), /can't load empty\.wasm:\n {2}NoAbi: .*--no-check/s);
    assert.match(await bad(1, "inspect", reference), /has nothing by this name \(404\)/);
    await good("push", "--no-check", "empty.wasm", reference);
    assert.match(await bad(1, "push", "--no-check", "text.wasm", reference), /NotWasm/);
    assert.match(await bad(1, "pull", reference), /can't load the module of .*bad\/filter:1:\n {2}NoAbi/);
    assert.match(await bad(1, "pull", reference, "-o", "bad.wasm"), /NoAbi/);
    assert.equal(existsSync(join(folder, "bad.wasm")), false);
    assert.doesNotMatch(await good("list"), /bad\/filter/);
    await good("pull", "--no-check", reference, "-o", "bad.wasm");
    assert.deepEqual(await readFile(join(folder, "bad.wasm")), MODULE);
  });

  it("read no larger blobs than they are told to", async () => {
    const reference = `${registry.address}/large/filter:1`;
    await good("push", "filter.wasm", reference);
    await good("copy", reference, "oci-archive:large.tar:1");
    // The config and, in a tar file, the index are larger than the module.
    const [enough, less] = [4096, GOOD_MODULE.length - 1].map(bytes => `--max-blob-bytes=${bytes}`);
    for (const [verb, ...args] of [
      ["pull", reference, "--output=large.wasm", "--force"],
      ["copy", reference, "oci:large:1"],
      ["copy", "oci-archive:large.tar:1", "oci:large:2"],
    ] as const) {
      assert.match(await bad(1, verb, `${less}`, ...args), /allowed/);
      await good(verb, `${enough}`, ...args);
    }
    assert.match(await good("inspect", `${less}`, reference), /no module .* are allowed/);
    assert.doesNotMatch(await good("inspect", `${enough}`, reference), /are allowed/);
  });

  it("replace files only if they are told to", async () => {
    const reference = `${registry.address}/over/filter:1`;
    await good("push", "filter.wasm", reference);
    await writeFile(join(folder, "mine.wasm"), "mine");
    assert.match(await bad(2, "pull", reference, "-o", "mine.wasm"), /mine\.wasm exists; --force replaces it/);
    assert.equal(await readFile(join(folder, "mine.wasm"), "utf8"), "mine");
    await good("pull", "--force", reference, "-o", "mine.wasm");
    assert.deepEqual(await readFile(join(folder, "mine.wasm")), GOOD_MODULE);
  });

  it("give failures as documents, too", async () => {
    const { code, stdout, stderr } = await run("pull", "--json", `${registry.address}/none/filter:1`);
    assert.equal(code, 1);
    const { error } = JSON.parse(stdout);
    assert.equal(error.code, "NotFound");
    assert.equal(error.status, 404);
    assert.match(stderr, /^wasmount pull: cannot resolve /);
  });

  const usage: readonly [title: string, args: readonly string[], message: RegExp][] = [
    ["no reference", ["pull", "UPPER/x"], /is not an image reference: unexpected "U" at character 1/],
    ["a file that is not there", ["push", "none.wasm", "r.example/x:1"], /none\.wasm can't be read: ENOENT/],
    ["a place without a path", ["inspect", "oci::1"], /write oci:PATH\[:TAG\]/],
    ["a folder that is no layout", ["inspect", "oci:."], /no OCI image layout: it has no file oci-layout/],
    [
      "a target that would cover other files",
      ["copy", "oci:.", "oci:."],
      /holds other things than an OCI image layout/,
    ],
    ["another repository's tag", ["tag", "--remote", "r.example/a:1", "r.example/b:1"], /wasmount copy goes to others/],
    ["an annotation without a value", ["push", "f.wasm", "r.example/a", "--annotation", "x"], /write KEY=VALUE/],
    [
      "a platform that is none",
      ["pull", "r.example/x:1", "--platform", "linux/arm/v7"],
      /'linux\/arm\/v7' is invalid\. .* such as "linux\/amd64"/,
    ],
    ["no platform at all", ["inspect", "r.example/x:1", "--platform", "amd64"], /an operating system and an arch/],
    ["blobs of nothing", ["pull", "r.example/a", "--max-blob-bytes", "0"], /write a number from 1 to 4294967296/],
    ["blobs of more than 4 GiB", ["copy", "oci:a", "oci:b", "--max-blob-bytes", "4294967297"], /write a number from 1/],
    ["a layout in place of an image for the store", ["pull", "oci:x:1"], /name a file with -o/],
  ];
  for (const [title, args, message] of usage) {
    it(`end with exit code 2 for ${title}`, async () => {
      assert.match(await bad(2, ...args), message);
    });
  }
});
