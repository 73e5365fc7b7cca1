import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { extract, type Header } from "tar-stream";
import { type BuiltImage, readBuiltImage } from "../../release/built-image.ts";
import { type PackedImage, type Packing, packImage } from "../../release/packed-image.ts";
import { type Platform, parsePlatforms } from "../../release/platform.ts";
import { type Files, programFor, writeLayout } from "./layouts.ts";

const [amd64, arm64] = parsePlatforms("linux/amd64,linux/arm64") as readonly [Platform, Platform];
const BASE: Files = { "lib/libc.so.6": "a library" };
const NODE: Files = { "usr/local/bin/node": programFor(amd64) };
const APP: Files = { "app/wasmount.mjs": "the entry", "app/fetch.cjs": "the fetcher" };
const LICENSE: Files = { "licenses/LICENSE": "a licence" };
const PACKING: Packing = {
  compression: "zstd",
  level: 3,
  created: "2023-11-14T22:13:20Z",
  history: { base: "below", node: "node 24.21.0", wasmount: "wasmount 1.2.3" },
  annotations: {},
};

describe("a packed image", () => {
  let folder: string;
  let count = 0;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-packed-"));
  });

  after(() => rm(folder, { recursive: true }));

  async function built(layers: readonly Files[], platform = amd64, options = {}): Promise<BuiltImage> {
    count += 1;
    const path = join(folder, `layout-${count}`);
    await writeLayout(path, platform.architecture, layers, options);
    return readBuiltImage(path, platform);
  }

  const packed = async (layers: readonly Files[], packing: Partial<Packing> = {}, options = {}) =>
    packImage(await built(layers, amd64, options), amd64, { ...PACKING, ...packing });
  const digests = ({ blobs }: PackedImage) => blobs.map(bytes => bytes.toString("base64"));

  it("is the same bytes however many layers the builder made, and in whatever order of files", async () => {
    const one = await packed([BASE, { ...LICENSE, ...APP, ...NODE }]);
    const three = await packed([BASE, NODE, APP, LICENSE]);
    const compressed = await packed([BASE, NODE, APP, LICENSE], {}, { gzip: true });
    assert.equal(one.manifest.descriptor.digest, three.manifest.descriptor.digest);
    assert.equal(one.manifest.descriptor.digest, compressed.manifest.descriptor.digest);
  });

  it("has Node in a layer that is the same for other sources of ours", async () => {
    const [, base, node, own] = digests(await packed([BASE, NODE, APP]));
    const [, sameBase, sameNode, otherOwn] = digests(
      await packed([BASE, NODE, { ...APP, "app/fetch.cjs": "another" }]),
    );
    assert.deepEqual([sameBase, sameNode], [base, node]);
    assert.notEqual(otherOwn, own);
  });

  it("takes of several layers the uppermost's files", async () => {
    const { files } = await built([BASE, NODE, { ...APP, "app/fetch.cjs": "an older one" }, APP]);
    assert.equal(files.find(({ path }) => path === "app/fetch.cjs")?.bytes.toString(), "the fetcher");
  });

  it("has root's files alone, which everybody may read and nobody else may write", async () => {
    const { blobs } = await packed([BASE, { ...NODE, ...APP, "app/fetch.cjs": { content: "x", mode: 0o4777 } }]);
    const headers = [...(await headersOf(blobs[2])), ...(await headersOf(blobs[3]))];
    const seen = headers.map(({ name, mode, uid, gid, mtime }) => [name, mode, uid, gid, mtime?.getTime()]);
    assert.deepEqual(seen, [
      ["usr", 0o755, 0, 0, 0],
      ["usr/local", 0o755, 0, 0, 0],
      ["usr/local/bin", 0o755, 0, 0, 0],
      ["usr/local/bin/node", 0o755, 0, 0, 0],
      ["app", 0o755, 0, 0, 0],
      ["app/fetch.cjs", 0o644, 0, 0, 0],
      ["app/wasmount.mjs", 0o644, 0, 0, 0],
    ]);
  });

  it("says how it runs in the Dockerfile's words, and has nothing of the builder's history", async () => {
    const { blobs } = await packed([BASE, NODE, APP]);
    const { history, config, created, rootfs } = JSON.parse(String(blobs[0]));
    assert.deepEqual(config, { User: "65532:65532", Entrypoint: ["node"], Labels: { title: "wasmount" } });
    assert.deepEqual(history, [
      { created, created_by: "below" },
      { created, created_by: "node 24.21.0" },
      { created, created_by: "wasmount 1.2.3" },
    ]);
    assert.equal(created, PACKING.created);
    assert.equal(rootfs.diff_ids.length, history.length);
  });

  it("is gzip where that is wanted", async () => {
    const { blobs, manifest } = await packed([BASE, NODE, APP], { compression: "gzip", level: 9 });
    const { layers } = JSON.parse(manifest.bytes.toString());
    assert.equal(layers[0].mediaType, "application/vnd.oci.image.layer.v1.tar+gzip");
    assert.ok(gunzipSync(blobs[1] ?? "").includes("a library"));
  });

  it("is not made of an image for another machine than its node", async () => {
    await assert.rejects(built([BASE, NODE, APP], arm64), { code: "BadImage", message: /no program for linux\/arm64/ });
    await built([BASE, { "usr/local/bin/node": programFor(arm64) }, APP], arm64);
  });

  it("is not made of an image that says it is for another machine", async () => {
    const path = join(folder, "other");
    await writeLayout(path, "arm64", [BASE, NODE, APP]);
    await assert.rejects(readBuiltImage(path, amd64), { code: "BadImage", message: /no image for linux\/amd64/ });
  });

  it("is not made of an image that has something else on top: it would pass for the base", async () => {
    for (const foreign of ["etc/passwd", "app/sub/file", "usr/local/bin/other"]) {
      const layers = [BASE, NODE, APP, { [foreign]: "" }];
      await assert.rejects(built(layers), { code: "BadImage", message: /other files than Node and wasmount/ }, foreign);
    }
  });
});

async function headersOf(layer: Buffer = Buffer.alloc(0)): Promise<readonly Header[]> {
  const found: Header[] = [];
  const reader = extract();
  reader.end(zstdDecompressSync(layer));
  for await (const entry of reader) {
    found.push(entry.header);
    await buffer(entry);
  }
  return found;
}
