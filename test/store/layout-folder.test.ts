import assert from "node:assert/strict";
import { mkdir, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { digestOf, hexOf } from "../../src/oci/digest.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { blobOf } from "../../src/oci/push.ts";
import { LayoutFolder } from "../../src/store/layout-folder.ts";
import { nameOf } from "../../src/store/layout-index.ts";
import { UNFINISHED } from "../../src/store/new-file.ts";
import { manifestBytes } from "../oci/images.ts";
import { coded } from "../oci/scripted-server.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const BLOB = Buffer.from("content");
const ENTRY = { mediaType: OCI_MANIFEST, digest: digestOf(BLOB), size: BLOB.length };

describe("layout folder", () => {
  const path = temporaryFolder();

  async function all(chunks: AsyncIterable<Buffer>): Promise<string> {
    const parts: Buffer[] = [];
    for await (const chunk of chunks) parts.push(chunk);
    return Buffer.concat(parts).toString();
  }

  function blobPath(digest: string): string {
    return path("images/blobs/sha256", hexOf(digest));
  }

  it("is an OCI image layout from the start, and stays what it was", async () => {
    const layout = await LayoutFolder.create(path("images"));
    assert.equal(await readFile(path("images/oci-layout"), "utf8"), '{"imageLayoutVersion":"1.0.0"}');
    assert.deepEqual(await layout.index(), []);
    await layout.setEntry(ENTRY, "v1");
    await LayoutFolder.create(path("images"));
    assert.deepEqual((await layout.index()).map(nameOf), ["v1"]);
  });

  it("keeps what other tools wrote into its index", async () => {
    const layout = await LayoutFolder.create(path("images"));
    const top = { schemaVersion: 2, artifactType: "a/b", annotations: { of: "the index" } };
    const theirs = { ...ENTRY, platform: { architecture: "arm", os: "linux", variant: "v7" }, urls: [], data: "eA==" };
    await writeFile(path("images/index.json"), JSON.stringify({ ...top, manifests: [theirs] }));
    const ours = { ...ENTRY, digest: digestOf(Buffer.from("ours")) };
    await layout.setEntry(ours, "v1");
    const annotations = { "org.opencontainers.image.ref.name": "v1" };
    assert.deepEqual(JSON.parse(await readFile(path("images/index.json"), "utf8")), {
      ...top,
      manifests: [theirs, { ...ours, annotations }],
    });
  });

  describe("without a name", () => {
    const sha256 = (bytes: Buffer) => ({ mediaType: OCI_MANIFEST, digest: digestOf(bytes), size: bytes.length });
    const image = manifestBytes();
    const subject = sha256(image);
    const signature = manifestBytes({ subject });
    let layout: LayoutFolder;

    beforeEach(async () => {
      layout = await LayoutFolder.create(path("images"), { name: "user.tar" });
    });

    async function list(name: string | null, ...manifests: readonly Buffer[]): Promise<void> {
      for (const bytes of manifests) {
        await layout.putManifest(bytes);
        await layout.setEntry(
          { ...sha256(bytes), mediaType: (await layout.manifest(digestOf(bytes))).mediaType },
          name,
        );
      }
    }

    it("finds the one image, whatever is attached to it by manifest or tag", async () => {
      await list(null, signature, manifestBytes({ subject: sha256(signature) }), image);
      await list(`sha256-${hexOf(subject.digest)}.sig`, manifestBytes({ annotations: { old: "signature" } }));
      assert.equal((await layout.find(null)).digest, subject.digest);
    });

    it("finds an index, not the images in it, which oras lists beside it", async () => {
      const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [subject] }));
      await list(null, image, index, signature);
      assert.equal((await layout.find(null)).digest, digestOf(index));
      await list("v1-amd64", image);
      await assert.rejects(layout.find(null), coded("Ambiguous"));
    });

    it("finds an attachment where there is nothing else", async () => {
      await list(null, signature);
      assert.equal((await layout.find(null)).digest, digestOf(signature));
      await list(null, manifestBytes({ subject, annotations: { second: "signature" } }));
      await assert.rejects(layout.find(null), coded("Ambiguous"));
    });

    it("leaves a choice between images, and where it can't read what one is", async () => {
      await list(null, image, signature);
      await layout.setEntry(ENTRY, null);
      await assert.rejects(layout.find(null), (error: Error) => {
        assert.equal(error.message, `user.tar leaves a choice; name one of "${subject.digest}", "${ENTRY.digest}"`);
        return coded("Ambiguous")(error);
      });
    });

    it("calls itself as its user does", async () => {
      await assert.rejects(layout.find("v1"), /: user\.tar holds no image "v1"/);
      await assert.rejects(layout.manifest(ENTRY.digest), /: user\.tar lacks/);
      await assert.rejects((await layout.stage("x")).manifest(ENTRY.digest), /: user\.tar lacks/);
      await writeFile(path("images/index.json"), "{");
      await assert.rejects(layout.index(), /: user\.tar\/index\.json is no index/);
    });
  });

  it("keeps blobs under their digests and gives them back", async () => {
    const layout = await LayoutFolder.create(path("images"));
    await layout.putBlob(blobOf(BLOB));
    assert.equal(await readFile(blobPath(ENTRY.digest), "utf8"), "content");
    assert.equal(await all(layout.blob(ENTRY)), "content");
  });

  it("keeps no blob that is not what its digest says, nor half of one", async () => {
    const layout = await LayoutFolder.create(path("images"));
    await assert.rejects(
      layout.putBlob({ ...blobOf(BLOB), digest: digestOf(Buffer.from("other")) }),
      coded("DigestMismatch"),
    );
    await assert.rejects(layout.putBlob({ ...blobOf(BLOB), size: 3 }), coded("SizeMismatch"));
    const broken = {
      ...blobOf(BLOB),
      async *open() {
        yield BLOB.subarray(0, 3);
        throw new Error("the line broke");
      },
    };
    await assert.rejects(layout.putBlob(broken), /the line broke/);
    assert.deepEqual(await readdir(path("images/blobs/sha256")), []);
  });

  it("finds damage when a blob or manifest is read, and mends it when it is written again", async () => {
    const layout = await LayoutFolder.create(path("images"));
    const bytes = manifestBytes();
    await layout.putManifest(bytes);
    await writeFile(blobPath(digestOf(bytes)), Buffer.from(bytes).reverse());
    await assert.rejects(layout.manifest(digestOf(bytes)), coded("DigestMismatch"));
    await assert.rejects(
      all(layout.blob({ mediaType: "", digest: digestOf(bytes), size: bytes.length })),
      coded("DigestMismatch"),
    );
    await layout.putManifest(bytes);
    assert.deepEqual((await layout.manifest(digestOf(bytes))).bytes, bytes);
  });

  it("says which blob an image lacks", async () => {
    const layout = await LayoutFolder.create(path("images"));
    await assert.rejects(all(layout.blob(ENTRY)), coded("NotFound"));
    await assert.rejects(layout.manifest(ENTRY.digest), coded("NotFound"));
  });

  it("reads no path that is not a digest's", async () => {
    const layout = await LayoutFolder.create(path("images"));
    await writeFile(path("secret"), "secret");
    await assert.rejects(layout.manifest("sha256:../../../secret"), coded("BadName"));
  });

  it("reads no manifest and no index that is too large for one", async () => {
    const layout = await LayoutFolder.create(path("images"));
    const large = Buffer.alloc(4 * 1024 * 1024 + 1, " ");
    await layout.putBlob(blobOf(large));
    await assert.rejects(layout.manifest(digestOf(large)), coded("TooLarge"));
    await writeFile(path("images/index.json"), Buffer.alloc(8 * 1024 * 1024 + 1, " "));
    await assert.rejects(layout.index(), coded("TooLarge"));
  });

  for (const [title, files] of [
    ["another project's folder", { "package.json": "{}" }],
    ["a layout of another version", { "oci-layout": '{"imageLayoutVersion":"2.0.0"}' }],
    ["a mark that is no JSON", { "oci-layout": "{" }],
  ] as const) {
    it(`makes no layout of ${title}`, async () => {
      await mkdir(path("images"));
      for (const [name, text] of Object.entries(files)) await writeFile(path("images", name), text);
      await assert.rejects(LayoutFolder.create(path("images")), coded("NotALayout"));
      await assert.rejects(LayoutFolder.open(path("images")), coded("NotALayout"));
      assert.deepEqual(await readdir(path("images")), Object.keys(files));
    });
  }

  it("clears what killed processes left, and leaves alone what living ones write", async () => {
    const layout = await LayoutFolder.create(path("images"));
    const [dead, alive] = [`${UNFINISHED}dead`, `${UNFINISHED}alive`];
    for (const name of [dead, alive]) await writeFile(path("images/blobs/sha256", name), "half");
    await mkdir(path("images", dead));
    const old = new Date(Date.now() - 25 * 60 * 60 * 1000);
    for (const folder of ["images/blobs/sha256", "images"]) await utimes(path(folder, dead), old, old);
    await LayoutFolder.create(layout.path);
    assert.deepEqual(await readdir(path("images/blobs/sha256")), [alive]);
    assert.equal((await readdir(path("images"))).includes(dead), false);
  });

  it("takes a staged folder's blobs over, and until then shows none of them", async () => {
    const layout = await LayoutFolder.create(path("images"));
    await layout.putBlob(blobOf(BLOB));
    const staged = await layout.stage("one");
    const other = Buffer.from("other");
    await staged.putBlob(blobOf(other));
    await staged.putBlob(blobOf(BLOB));
    assert.deepEqual(await readdir(path("images", `${UNFINISHED}one`, "blobs/sha256")), [hexOf(digestOf(other))]);
    assert.equal(await layout.has({ digest: digestOf(other), size: 5 }), false);
    await layout.adopt(staged);
    assert.equal(await layout.has({ digest: digestOf(other), size: 5 }), true);
  });
});
