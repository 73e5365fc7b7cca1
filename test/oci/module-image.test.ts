import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { compatLayer } from "../../src/oci/compat-layer.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { readManifest } from "../../src/oci/manifest.ts";
import { type ModuleImage, moduleImage, type WrittenLayout } from "../../src/oci/module-image.ts";
import { MODULE } from "./images.ts";
import { collect } from "./scripted-server.ts";

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "module-image-"));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const LAYOUTS: readonly WrittenLayout[] = ["cncf", "compat", "solo-oci"];

const options = (layout: WrittenLayout) => ({ module: MODULE, name: "add-header", layout, rootIds: ["root"] });

async function contentOf({ blobs }: ModuleImage, digest: string | undefined): Promise<Buffer> {
  const blob = blobs.find(one => one.digest === digest);
  assert.ok(blob, `no blob ${digest}`);
  const bytes = await collect(blob.open() as AsyncIterable<Buffer>);
  assert.deepEqual([digestOf(bytes), bytes.length], [blob.digest, blob.size]);
  return bytes;
}

function manifestOf({ manifest: { bytes, mediaType, digest } }: ModuleImage) {
  const { manifest } = readManifest(bytes, mediaType, digest);
  assert.ok(manifest.kind === "image");
  return manifest;
}

describe("moduleImage", () => {
  for (const layout of LAYOUTS) {
    it(`gives the same ${layout} image for the same module, from bytes and from a file`, async () => {
      await inFolder(async folder => {
        await writeFile(join(folder, "a.wasm"), MODULE);
        const image = await moduleImage(options(layout));
        const again = await moduleImage({ ...options(layout), module: join(folder, "a.wasm") });
        assert.equal(again.manifest.digest, image.manifest.digest);
        for (const { digest } of again.blobs) await contentOf(again, digest);
      });
    });

    it(`titles the layers of ${layout} with plain names, for oras pull`, async () => {
      const titles = manifestOf(await moduleImage(options(layout))).layers.map(
        ({ annotations }) => annotations?.["org.opencontainers.image.title"],
      );
      const expected = {
        cncf: ["add-header.wasm"],
        compat: ["add-header.tar.gz"],
        "solo-oci": ["runtime-config.json", "add-header.wasm"],
      };
      assert.deepEqual(titles, expected[layout]);
    });
  }

  it("writes a CNCF config that names the layer", async () => {
    const image = await moduleImage({ ...options("cncf"), created: "2026-01-02T03:04:05Z" });
    const { config } = manifestOf(image);
    assert.deepEqual(JSON.parse((await contentOf(image, config.digest)).toString()), {
      created: "2026-01-02T03:04:05Z",
      architecture: "wasm",
      os: "wasip1",
      layerDigests: [digestOf(MODULE)],
    });
  });

  it("writes an image config that container runtimes can unpack by", async () => {
    const image = await moduleImage(options("compat"));
    const { config, layers, annotations } = manifestOf(image);
    const layer = await contentOf(image, layers[0]?.digest);
    const { rootfs, history, architecture, os } = JSON.parse((await contentOf(image, config.digest)).toString());
    assert.deepEqual(rootfs, { type: "layers", diff_ids: [digestOf(gunzipSync(layer))] });
    // One entry a layer, or containerd refuses the image.
    assert.deepEqual(history, [{ created_by: "wasmount push" }]);
    assert.deepEqual([architecture, os], ["amd64", "linux"]);
    assert.equal(annotations["module.wasm.image/variant"], "compat");
    // Neither a time nor this machine's operating system in the gzip header.
    assert.deepEqual([...layer.subarray(4, 8), layer[9]], [0, 0, 0, 0, 255]);
  });

  it("makes the same compat archive on every machine, of bytes and of a file, however large", async () => {
    // The smallest module, mode 0644, and zero wherever a machine could leave a trace.
    const { diffId } = await compatLayer(MODULE, null);
    assert.equal(diffId, "sha256:a9816b7feae6dc53679420e29d649ad11d63a9fe00e6aab3f7263c7a9af0cdf9");
    const bytes = Buffer.concat([MODULE, randomBytes(300_001)]);
    await inFolder(async folder => {
      await writeFile(join(folder, "large.wasm"), bytes);
      const [one, two] = [await compatLayer(bytes, null), await compatLayer(join(folder, "large.wasm"), null)];
      assert.deepEqual([one.blob.digest, one.diffId], [two.blob.digest, two.diffId]);
      for (let times = 0; times < 2; times += 1) {
        const sent = await collect(two.blob.open() as AsyncIterable<Buffer>);
        assert.deepEqual([digestOf(sent), sent.length], [one.blob.digest, one.blob.size]);
      }
    });
  });

  it("does not send a file that was changed after it was hashed", async () => {
    await inFolder(async folder => {
      const path = join(folder, "changing.wasm");
      for (const change of [Buffer.alloc(8, 1), Buffer.alloc(4), Buffer.alloc(4000)]) {
        await writeFile(path, MODULE);
        const { blob } = await compatLayer(path, null);
        await writeFile(path, change);
        await assert.rejects(collect(blob.open() as AsyncIterable<Buffer>));
      }
    });
  });

  it("fails where its file can't be read", async () => {
    await assert.rejects(compatLayer(join(tmpdir(), "no", "such", "file"), null), { code: "ENOENT" });
    await assert.rejects(compatLayer(tmpdir(), null));
  });

  it("names the ABIs where a layout has a place for them", async () => {
    const image = await moduleImage({ ...options("solo-oci"), abiVersions: ["v0-0", "v0.2.1"] });
    const { config, annotations } = manifestOf(image);
    const expected = { type: "envoy_proxy", abiVersions: ["v0-0", "v0.2.1"], config: { rootIds: ["root"] } };
    assert.deepEqual(JSON.parse((await contentOf(image, config.digest)).toString()), expected);
    assert.equal(annotations["module.wasm.runtime/abi_version"], "v0-0,v0.2.1");
  });

  it("puts the annotations given on the manifest", async () => {
    const annotations = { "org.opencontainers.image.source": "https://example.test/filter" };
    const image = await moduleImage({ ...options("solo-oci"), annotations, created: "2026-01-02T03:04:05Z" });
    assert.deepEqual(
      { ...manifestOf(image).annotations },
      {
        "module.wasm.runtime/type": "envoy_proxy",
        "org.opencontainers.image.created": "2026-01-02T03:04:05Z",
        ...annotations,
      },
    );
  });

  it("refuses a name that is a path", async () => {
    for (const name of ["../x", "a/b", "", ".hidden", "a\nb"]) {
      await assert.rejects(moduleImage({ ...options("cncf"), name }), TypeError);
    }
  });
});
