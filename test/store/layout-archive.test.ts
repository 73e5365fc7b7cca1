import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { digestOf, hexOf } from "../../src/oci/digest.ts";
import { OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { packLayout, unpackLayout } from "../../src/store/layout-archive.ts";
import { LayoutFolder } from "../../src/store/layout-folder.ts";
import { NewFile } from "../../src/store/new-file.ts";
import { manifestBytes } from "../oci/images.ts";
import { coded } from "../oci/scripted-server.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const LIMITS = { blobBytes: 1000, totalBytes: 1500 };
const MARK = { name: "oci-layout", content: '{"imageLayoutVersion":"1.0.0"}' };
const EMPTY = { name: "index.json", content: '{"schemaVersion":2,"manifests":[]}' };

interface TarEntry {
  readonly name: string;
  readonly content?: string;
  readonly type?: "symlink";
  readonly linkname?: string;
}

async function tarOf(entries: readonly TarEntry[]): Promise<Buffer> {
  const tar = pack();
  for (const { content = "", ...header } of entries) tar.entry(header, content);
  tar.finalize();
  return buffer(tar);
}

describe("layout archive", () => {
  const path = temporaryFolder();

  async function unpack(tar: Buffer): Promise<LayoutFolder> {
    await writeFile(path("in.tar"), tar);
    return unpackLayout(path("in.tar"), path("out"), LIMITS);
  }

  async function packed(layout: LayoutFolder, name: string): Promise<Buffer> {
    const file = await NewFile.create(path(name), "keep");
    await packLayout(layout, file, new AbortController().signal);
    await file.finish();
    return readFile(path(name));
  }

  it("holds what the layout holds, the same bytes for the same layout", async () => {
    const layout = await LayoutFolder.create(path("layout"));
    const bytes = manifestBytes();
    await layout.putManifest(bytes);
    await layout.setEntry({ mediaType: OCI_MANIFEST, digest: digestOf(bytes), size: bytes.length }, "v1");
    const tar = await packed(layout, "one.tar");
    assert.ok(tar.equals(await packed(layout, "two.tar")));
    const again = await unpack(tar);
    assert.equal((await again.find("v1")).digest, digestOf(bytes));
    assert.deepEqual((await again.manifest(digestOf(bytes))).bytes, bytes);
  });

  it("passes over what no layout has, wherever it wants to go", async () => {
    await unpack(
      await tarOf([
        { name: "../escaped", content: "x" },
        { name: "/tmp/wasmount-escaped", content: "x" },
        { name: "blobs/sha256/../../../escaped", content: "x" },
        { name: "blobs/sha256/link", type: "symlink", linkname: "/etc/passwd" },
        { name: "manifest.json", content: "[]" },
        { name: "./oci-layout", content: MARK.content },
        { name: "./index.json", content: EMPTY.content },
        { name: "index.json", type: "symlink", linkname: "/etc/passwd" },
      ]),
    );
    assert.equal(existsSync(path("escaped")), false);
    assert.deepEqual(await readdir(path("out/blobs/sha256")), []);
  });

  it("refuses a blob that is not what its name says", async () => {
    const name = `blobs/sha256/${hexOf(digestOf(Buffer.from("other")))}`;
    await assert.rejects(
      async () => unpack(await tarOf([MARK, EMPTY, { name, content: "content" }])),
      coded("DigestMismatch"),
    );
  });

  it("refuses blobs that are larger than allowed, alone or together", async () => {
    const blob = (content: string) => ({ name: `blobs/sha256/${hexOf(digestOf(Buffer.from(content)))}`, content });
    await assert.rejects(async () => unpack(await tarOf([blob("x".repeat(1001))])), coded("TooLarge"));
    await assert.rejects(
      async () => unpack(await tarOf([blob("x".repeat(900)), blob("y".repeat(900))])),
      coded("TooLarge"),
    );
    await assert.rejects(
      async () => unpack(await tarOf([{ name: "oci-layout", content: "x".repeat(4097) }])),
      coded("TooLarge"),
    );
  });

  it("refuses more entries than a layout of ours has", async () => {
    const entries = Array.from({ length: 20_001 }, () => ({ name: "x" }));
    await assert.rejects(async () => unpack(await tarOf(entries)), /more than 20000 entries/);
  });

  for (const [title, make] of [
    ["a tar of something else", () => tarOf([{ name: "a", content: "b" }])],
    ["one without an index", () => tarOf([MARK])],
    ["one that is cut", async () => (await tarOf([MARK, EMPTY])).subarray(0, 700)],
    ["one that is compressed", async () => gzipSync(await tarOf([MARK, EMPTY]))],
  ] as const) {
    it(`refuses ${title}`, async () => {
      await assert.rejects(async () => unpack(await make()), coded("NotALayout"));
    });
  }

  it("calls the layout by the file's name", async () => {
    const layout = await unpack(await tarOf([MARK, EMPTY]));
    await assert.rejects(layout.find("v1"), { message: `${path("in.tar")} holds no image "v1"; it holds nothing` });
  });

  it("says that there is no file", async () => {
    await assert.rejects(unpackLayout(path("none.tar"), path("out"), LIMITS), /there is no file .*none\.tar/);
  });
});
