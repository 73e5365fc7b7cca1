import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RegistryClient } from "../../src/oci/client.ts";
import { RegistryError } from "../../src/oci/error.ts";
import { fetchModule } from "../../src/oci/fetch-module.ts";
import { moduleImage, type WrittenLayout } from "../../src/oci/module-image.ts";
import { pushModule } from "../../src/oci/push-module.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { type Registry, startRegistry } from "../environment/registry/registry.ts";
import { MemorySink, MemoryStore } from "../oci/memory.ts";
import { coded } from "../oci/scripted-server.ts";

const HEADER = Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
/** Several chunks of bytes that don't compress much. */
const MODULE = Buffer.concat([
  HEADER,
  ...Array.from({ length: 8192 }, (_, index) => createHash("sha256").update(String(index)).digest()),
]);
const LAYOUTS: readonly WrittenLayout[] = ["cncf", "compat", "solo-oci"];

describe("registry client and registry", () => {
  let registry: Registry;
  let client: RegistryClient;
  let folder: string;

  before(async () => {
    registry = await startRegistry();
    client = new RegistryClient({ registries: [{ host: registry.address, plainHttp: true }] });
    folder = await mkdtemp(join(tmpdir(), "registry-test-"));
    await writeFile(join(folder, "filter.wasm"), MODULE);
  });

  after(async () => {
    client.close();
    await registry.close();
    await rm(folder, { recursive: true });
  });

  for (const layout of LAYOUTS) {
    it(`pushes, resolves and fetches a ${layout} image`, async () => {
      const reference = parseReference(`${registry.address}/filters/${layout}:v1`);
      const image = await moduleImage({
        module: join(folder, "filter.wasm"),
        name: "filter",
        layout,
        rootIds: ["first", "second"],
        created: "2026-01-02T03:04:05Z",
      });
      const pushed = await pushModule(client, reference, image);
      assert.equal(pushed.digest, image.manifest.digest);
      assert.deepEqual(await client.resolve(reference), pushed);

      const sink = new MemorySink();
      const fetched = await fetchModule(client, { ...reference, digest: pushed.digest }, sink);
      assert.ok(sink.bytes.equals(MODULE));
      assert.equal(fetched.layout, layout);
      assert.equal(fetched.moduleSha256, createHash("sha256").update(MODULE).digest("hex"));
      assert.equal(fetched.moduleSize, MODULE.length);
      assert.deepEqual(fetched.rootIds, ["first", "second"]);
      assert.equal(fetched.manifestDigest, pushed.digest);
    });

    it(`checks a ${layout} module again from kept evidence, without the registry`, async () => {
      const reference = parseReference(`${registry.address}/offline/${layout}:v1`);
      const image = await moduleImage({ module: MODULE, name: "filter", layout, rootIds: ["root"] });
      const { digest } = await pushModule(client, reference, image);
      const store = new MemoryStore();
      const first = await fetchModule(client, { ...reference, digest }, new MemorySink(), { store });
      // The module's file stands in for its layer, where the layer is the module.
      store.content.set(`sha256:${first.moduleSha256}`, MODULE);
      const before = registry.requests.length;
      const again = await fetchModule(client, { ...reference, digest }, new MemorySink(), { store });
      assert.deepEqual(again, first);
      assert.equal(registry.requests.length, before);
    });

    it(`refuses a ${layout} image whose blob was changed in the registry`, async () => {
      const reference = parseReference(`${registry.address}/changed/${layout}:v1`);
      const image = await moduleImage({ module: MODULE, name: "filter", layout });
      const { digest } = await pushModule(client, reference, image);
      const { layerDigest } = await fetchModule(client, { ...reference, digest }, new MemorySink());
      const flip = (bytes: Buffer) => {
        const changed = Buffer.from(bytes);
        changed[changed.length >> 1] = (changed[changed.length >> 1] ?? 0) ^ 1;
        return changed;
      };
      registry.corrupt(layerDigest, flip);
      try {
        await assert.rejects(
          fetchModule(client, { ...reference, digest }, new MemorySink()),
          // Damage in an archive may show as such before its digest does.
          (error: unknown) =>
            error instanceof RegistryError &&
            ["DigestMismatch", ...(layout === "compat" ? ["BadArchive"] : [])].includes(error.code),
        );
      } finally {
        registry.corrupt(layerDigest, flip);
      }
    });
  }

  it("does not upload what the repository has", async () => {
    const reference = parseReference(`${registry.address}/twice:v1`);
    const image = await moduleImage({ module: MODULE, name: "filter", layout: "cncf" });
    await pushModule(client, reference, image);
    const before = registry.requests.length;
    await pushModule(client, reference, image);
    const methods = registry.requests.slice(before).map(request => request.split(" ")[0]);
    assert.deepEqual(methods, ["HEAD", "HEAD", "PUT"]);
  });

  it("logs in where the registry asks for it", async () => {
    const login = { username: "robot", password: "correct:horse" };
    const guarded = await startRegistry({ login });
    const registries = [{ host: guarded.address, plainHttp: true }];
    const trusted = new RegistryClient({ registries, credentials: () => [{ kind: "password", ...login }] });
    const stranger = new RegistryClient({ registries });
    try {
      const reference = parseReference(`${guarded.address}/private/filter:v1`);
      const image = await moduleImage({ module: MODULE, name: "filter", layout: "cncf" });
      const { digest } = await pushModule(trusted, reference, image);
      assert.equal((await trusted.resolve(reference)).digest, digest);
      await assert.rejects(stranger.resolve(reference), coded("Unauthorized"));
    } finally {
      trusted.close();
      stranger.close();
      await guarded.close();
    }
  });
});
