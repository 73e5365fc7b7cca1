import assert from "node:assert/strict";
import { copyImage } from "../../src/images/copy.ts";
import { LayoutImages, layoutEntry } from "../../src/images/layout-images.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { readManifest } from "../../src/oci/manifest.ts";
import { OCI_EMPTY, OCI_INDEX, OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { blobOf } from "../../src/oci/push.ts";
import { LayoutFolder } from "../../src/store/layout-folder.ts";
import { nameOf } from "../../src/store/layout-index.ts";
import { descriptorOf, manifestBytes } from "../oci/images.ts";
import { coded } from "../oci/scripted-server.ts";
import { temporaryFolder } from "../store/temporary-folder.ts";

const CONFIG = Buffer.from("{}");

describe("copyImage", () => {
  const path = temporaryFolder();
  const signal = new AbortController().signal;
  let from: LayoutFolder;
  let to: LayoutFolder;

  beforeEach(async () => {
    from = await LayoutFolder.create(path("from"));
    to = await LayoutFolder.create(path("to"));
  });

  function copy(name: string | null, referrers = false, target = name) {
    const moved: string[] = [];
    const watcher = {
      started: ({ digest }: { readonly digest: string }) => moved.push(digest),
      moved: () => {},
      finished: () => {},
    };
    const [source, images] = [
      new LayoutImages(from, layoutEntry("from", name)),
      new LayoutImages(to, layoutEntry("to", target)),
    ];
    return copyImage(source, images, { referrers, watcher, signal }).then(copied => ({ ...copied, moved }));
  }

  /** An image with one layer, in the source. */
  async function image(content: string, change: Readonly<Record<string, unknown>> = {}) {
    const layer = Buffer.from(content);
    const config = descriptorOf(CONFIG, OCI_EMPTY);
    const bytes = manifestBytes({ config, layers: [descriptorOf(layer, "text/plain")], ...change });
    for (const blob of [CONFIG, layer]) await from.putBlob(blobOf(blob));
    await from.putManifest(bytes);
    return descriptorOf(bytes, OCI_MANIFEST);
  }

  async function index(manifests: readonly unknown[]) {
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
    await from.putManifest(bytes);
    return descriptorOf(bytes, OCI_INDEX);
  }

  it("copies an index with all that it lists, each blob once", async () => {
    const images = [await image("one"), await image("two")];
    const top = await index(images);
    await from.setEntry(top, "v1");
    const { moved, ...copied } = await copy("v1");
    assert.deepEqual(copied, { descriptor: top, manifests: 3, attachments: 0, blobs: 3, bytes: 8 });
    assert.deepEqual(moved, [CONFIG, Buffer.from("one"), Buffer.from("two")].map(digestOf));
    assert.deepEqual(
      (await to.index()).map(entry => [nameOf(entry), entry.digest]),
      [["v1", top.digest]],
    );
    for (const { digest } of images) assert.equal((await to.manifest(digest)).digest, digest);
    assert.deepEqual((await copy("v1")).moved, []);
  });

  it("copies what is attached, and what is attached to that, only if it is to", async () => {
    const subject = await image("one");
    await from.setEntry(subject, "v1");
    const signature = await image("signature", { subject });
    await from.setEntry(signature, null);
    await from.setEntry(await image("countersignature", { subject: signature }), null);
    await from.setEntry(await image("old signature"), `sha256-${subject.digest.slice("sha256:".length)}.sig`);
    await from.setEntry(await image("stranger"), null);

    assert.equal((await copy("v1")).attachments, 0);
    const copied = await copy("v1", true);
    assert.deepEqual([copied.manifests, copied.attachments], [4, 3]);
    const attachments = await new LayoutImages(to, layoutEntry("to", "v1")).attachments(subject.digest);
    const tags = attachments.map(({ tag }) => tag);
    assert.deepEqual(new Set(tags), new Set([null, `sha256-${subject.digest.slice("sha256:".length)}.sig`]));
  });

  it("finds again without a name what it wrote without one, attachments and all", async () => {
    const subject = await image("one");
    await from.setEntry(subject, "v1");
    await from.setEntry(await image("signature", { subject }), null);
    await from.setEntry(await image("old signature"), `sha256-${subject.digest.slice("sha256:".length)}.sig`);
    await copy("v1", true, null);
    assert.equal((await to.index()).length, 3);
    [from, to] = [to, await LayoutFolder.create(path("back"))];
    const { descriptor, attachments } = await copy(null, true, "v2");
    assert.deepEqual([descriptor, attachments], [subject, 2]);
  });

  it("takes nobody's word for what is attached to an image", async () => {
    const subject = await image("one");
    const stranger = await image("stranger");
    await from.setEntry(subject, "v1");
    class Liar extends LayoutImages {
      override async attachments(digest: string) {
        return digest === subject.digest ? [{ descriptor: stranger, tag: null }] : [];
      }
    }
    const target = new LayoutImages(to, layoutEntry("to", "v1"));
    const watcher = { started() {}, moved() {}, finished() {} };
    const copied = await copyImage(new Liar(from, layoutEntry("from", "v1")), target, {
      referrers: true,
      watcher,
      signal,
    });
    assert.equal(copied.attachments, 0);
    await assert.rejects(to.manifest(stranger.digest), coded("NotFound"));
  });

  it("names nothing that is not there whole", async () => {
    const good = await image("one");
    const lost = descriptorOf(manifestBytes({ annotations: { lost: "yes" } }), OCI_MANIFEST);
    await from.setEntry(await index([good, lost]), "v1");
    await assert.rejects(copy("v1"), coded("NotFound"));
    assert.deepEqual(await to.index(), []);
  });

  it("refuses an index that lies about a size", async () => {
    const good = await image("one");
    await from.setEntry(await index([{ ...good, size: good.size + 1 }]), "v1");
    await assert.rejects(copy("v1"), coded("SizeMismatch"));
  });

  it("refuses another digest than the target's name says", async () => {
    const good = await image("one");
    await from.setEntry(good, "v1");
    await assert.rejects(copy("v1", false, digestOf(CONFIG)), coded("DigestMismatch"));
    assert.equal((await copy("v1", false, good.digest)).descriptor.digest, good.digest);
  });

  it("refuses indexes that are nested deeper than any image's", async () => {
    let top = await image("one");
    for (let depth = 0; depth < 3; depth += 1) top = await index([top]);
    await from.setEntry(top, "v1");
    assert.equal((await copy("v1")).manifests, 4);
    await from.setEntry(await index([top]), "v2");
    await assert.rejects(copy("v2"), /nested more than 3 deep/);
  });

  it("refuses more manifests than any image has", async () => {
    const made = new Map<string, Buffer>();
    const indexOf = (manifests: readonly unknown[]) => {
      const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
      made.set(digestOf(bytes), bytes);
      return descriptorOf(bytes, OCI_INDEX);
    };
    const leaf = (name: string) => ({ ...indexOf([]), annotations: { name } });
    const leaves = (at: number) => Array.from({ length: 64 }, (_, one) => indexOf([leaf(`${at}-${one}`)]));
    const top = indexOf(Array.from({ length: 8 }, (_, at) => indexOf(leaves(at))));
    class Endless extends LayoutImages {
      override async find() {
        return top;
      }
      override async manifest(digest: string) {
        return readManifest(made.get(digest) ?? Buffer.alloc(0), null, digest);
      }
    }
    const target = new LayoutImages(to, layoutEntry("to", "v1"));
    const options = { referrers: false, watcher: { started() {}, moved() {}, finished() {} }, signal };
    target.putManifest = async () => {};
    await assert.rejects(
      copyImage(new Endless(from, layoutEntry("from", "v1")), target, options),
      /more than 512 manifests/,
    );
  });
});
