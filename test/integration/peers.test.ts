import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { RegistryClient } from "../../src/oci/client.ts";
import { fetchModule } from "../../src/oci/fetch-module.ts";
import { moduleImage } from "../../src/oci/module-image.ts";
import { pushModule } from "../../src/oci/push-module.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { binaryOf } from "../environment/cluster/binaries.ts";
import { findGo } from "../environment/cluster/go.ts";
import { flipLastByte } from "../environment/corruption.ts";
import { type DistributionRegistry, startDistributionRegistry } from "../environment/distribution-registry.ts";
import { unavailable } from "../environment/requirement.ts";
import { spawnChecked } from "../environment/spawn.ts";

/** The smallest module that Envoy loads. */
const MODULE = Buffer.from(
  "AGFzbQEAAAABCQJgAABgAX8BfwMDAgABBQMBAAEHLQMGbWVtb3J5AgAXcHJveHlfYWJpX3ZlcnNpb25fMF8yXzEAAAZtYWxsb2MAAQoJAgIACwQAQQAL",
  "base64",
);
const SHA256 = createHash("sha256").update(MODULE).digest("hex");

describe("the distribution project's registry, and oras and crane beside it", function () {
  this.timeout(10 * 60_000);
  let folder: string;
  let registry: DistributionRegistry;
  let client: RegistryClient;
  let oras: string;
  let crane: string;

  before(async function () {
    const problem = await findGo().then(
      () => null,
      (error: Error) => error.message,
    );
    if (problem !== null) unavailable(this, problem);
    const progress = (line: string) => console.log(`      ${line}`);
    folder = await mkdtemp(join(tmpdir(), "wasmount-peers-"));
    [oras, crane] = [await binaryOf("oras", progress), await binaryOf("crane", progress)];
    registry = await startDistributionRegistry(join(folder, "registry"), "127.0.0.1", progress);
    client = new RegistryClient({ registries: [{ host: registry.address, plainHttp: true }] });
  });

  after(async () => {
    client?.close();
    await registry?.stop();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  async function fetched(digest: string, repository: string) {
    const chunks: Buffer[] = [];
    const sink = { write: async (chunk: Buffer) => void chunks.push(chunk) };
    const module = await fetchModule(client, { registry: registry.address, repository, digest }, sink);
    return { ...module, bytes: Buffer.concat(chunks) };
  }

  for (const layout of ["cncf", "solo-oci", "compat"] as const) {
    it(`keep a ${layout} image that we push, and give it back`, async () => {
      const reference = parseReference(`${registry.address}/pushed/${layout}:1`);
      const image = await moduleImage({ module: MODULE, name: "filter", layout, rootIds: ["one"] });
      const { digest } = await pushModule(client, reference, image);
      assert.equal((await client.resolve(reference)).digest, digest);
      const module = await fetched(digest, reference.repository);
      assert.equal(module.moduleSha256, SHA256);
      assert.deepEqual(module.bytes, MODULE);
      assert.deepEqual(module.rootIds, ["one"]);
      assert.equal(
        (await spawnChecked(crane, ["digest", "--insecure", `${registry.address}/pushed/${layout}:1`])).trim(),
        digest,
      );
    });
  }

  it("oras pulls byte for byte what we push", async () => {
    const image = await moduleImage({ module: MODULE, name: "filter", layout: "cncf" });
    await pushModule(client, parseReference(`${registry.address}/ours:1`), image);
    const output = join(folder, "pulled");
    await spawnChecked(oras, ["pull", "--plain-http", "--no-tty", "-o", output, `${registry.address}/ours:1`]);
    assert.deepEqual(await readFile(join(output, "filter.wasm")), MODULE);
  });

  it("oras pulls the archive of a compat image, and crane finds its config true to its layer", async () => {
    const image = await moduleImage({ module: MODULE, name: "filter", layout: "compat", rootIds: ["one"] });
    await pushModule(client, parseReference(`${registry.address}/archived:1`), image);
    const output = join(folder, "archived");
    await spawnChecked(oras, ["pull", "--plain-http", "--no-tty", "-o", output, `${registry.address}/archived:1`]);
    const archive = gunzipSync(await readFile(join(output, "filter.tar.gz")));
    assert.deepEqual(archive.subarray(512, 512 + MODULE.length), MODULE);
    await spawnChecked(crane, ["validate", "--insecure", "--remote", `${registry.address}/archived:1`]);
  });

  for (const type of ["", ":application/wasm", ":application/vnd.module.wasm.content.layer.v1+wasm"]) {
    it(`we load what oras pushes as filter.wasm${type}`, async () => {
      await writeFile(join(folder, "filter.wasm"), MODULE);
      const reference = `${registry.address}/theirs:${type.replace(/[^a-z0-9]/g, "") || "plain"}`;
      await spawnChecked(oras, ["push", "--plain-http", "--no-tty", reference, `filter.wasm${type}`], { cwd: folder });
      const { digest } = await client.resolve(parseReference(reference));
      assert.equal((await fetched(digest, "theirs")).moduleSha256, SHA256);
    });
  }

  it("are not believed when their disk lies", async () => {
    const image = await moduleImage({
      module: MODULE,
      name: "filter",
      layout: "cncf",
      created: "2026-01-01T00:00:00Z",
    });
    const reference = parseReference(`${registry.address}/lying:1`);
    const { digest } = await pushModule(client, reference, image);
    await registry.corrupt(image.blobs.at(-1)?.digest ?? "", flipLastByte);
    await assert.rejects(fetched(digest, "lying"), { code: "DigestMismatch" });
  });
});
