import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { digestOf } from "../../src/oci/digest.ts";
import { readManifest } from "../../src/oci/manifest.ts";
import { type ModuleImage, moduleImage, type WrittenLayout } from "../../src/oci/module-image.ts";
import { MODULE } from "./images.ts";
import { collect } from "./scripted-server.ts";

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
      const folder = await mkdtemp(join(tmpdir(), "module-image-"));
      try {
        await writeFile(join(folder, "a.wasm"), MODULE);
        const image = await moduleImage(options(layout));
        const again = await moduleImage({ ...options(layout), module: join(folder, "a.wasm") });
        assert.equal(again.manifest.digest, image.manifest.digest);
        for (const { digest } of again.blobs) await contentOf(again, digest);
      } finally {
        await rm(folder, { recursive: true });
      }
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
    const { rootfs } = JSON.parse((await contentOf(image, config.digest)).toString());
    assert.deepEqual(rootfs, { type: "layers", diff_ids: [digestOf(gunzipSync(layer))] });
    assert.equal(annotations["module.wasm.image/variant"], "compat");
    // Neither a time nor this machine's operating system in the gzip header.
    assert.deepEqual([...layer.subarray(4, 8), layer[9]], [0, 0, 0, 0, 255]);
  });

  it("puts the annotations given on the manifest", async () => {
    const annotations = { "org.opencontainers.image.source": "https://example.test/filter" };
    const image = await moduleImage({ ...options("solo-oci"), annotations, created: "2026-01-02T03:04:05Z" });
    assert.deepEqual(
      { ...manifestOf(image).annotations },
      {
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
