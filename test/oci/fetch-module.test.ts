import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { ModuleSource } from "../../src/oci/client.ts";
import { digestOf, verifying } from "../../src/oci/digest.ts";
import { RegistryError } from "../../src/oci/error.ts";
import { fetchModule } from "../../src/oci/fetch-module.ts";
import { DEFAULT_LIMITS } from "../../src/oci/limits.ts";
import { readManifest } from "../../src/oci/manifest.ts";
import {
  CNCF_CONFIG,
  CNCF_WASM,
  DOCKER_MANIFEST,
  OCI_INDEX,
  OCI_LAYER,
  OCI_MANIFEST,
  ROOT_IDS_ANNOTATION,
} from "../../src/oci/media-types.ts";
import { type ModuleImage, moduleImage } from "../../src/oci/module-image.ts";
import { COMPONENT, descriptorOf, MODULE, manifestBytes } from "./images.ts";
import { MemorySink, MemoryStore } from "./memory.ts";
import { coded, collect } from "./scripted-server.ts";

/** A source that has some content, and remembers what it was asked for. */
class Shelf implements ModuleSource {
  readonly limits = { ...DEFAULT_LIMITS, moduleBytes: 1024 * 1024, manifestBytes: 64 * 1024 };
  readonly asked: string[] = [];
  readonly contentTypes = new Map<string, string>();
  readonly #content = new Map<string, Buffer>();

  add(bytes: Buffer): string {
    this.#content.set(digestOf(bytes), bytes);
    return digestOf(bytes);
  }

  change(digest: string, how: (bytes: Buffer) => Buffer): void {
    this.#content.set(digest, how(this.#take(digest)));
  }

  async addImage({ manifest, blobs }: ModuleImage): Promise<string> {
    for (const blob of blobs) this.add(await collect(blob.open() as AsyncIterable<Buffer>));
    return this.add(manifest.bytes);
  }

  async manifest(_registry: string, _repository: string, digest: string) {
    return readManifest(this.#take(digest), this.contentTypes.get(digest) ?? null, digest);
  }

  async *blob(_registry: string, _repository: string, descriptor: { readonly digest: string; readonly size: number }) {
    const bytes = this.#take(descriptor.digest);
    yield* verifying(
      (async function* () {
        for (let at = 0; at < bytes.length; at += 100) yield bytes.subarray(at, at + 100);
      })(),
      descriptor,
    );
  }

  #take(digest: string): Buffer {
    this.asked.push(digest);
    const bytes = this.#content.get(digest);
    if (bytes === undefined) throw new RegistryError("NotFound", "it is not on the shelf");
    return bytes;
  }
}

const at = (digest: string) => ({ registry: "reg.example", repository: "team/filter", digest });

interface Entry {
  readonly digest: string;
  readonly size: number;
  readonly mediaType?: string;
  readonly platform?: object;
}

/** A shelf with an image, and the index entry for that. */
async function shelved() {
  const shelf = new Shelf();
  const image = await moduleImage({ module: MODULE, name: "f", layout: "cncf" });
  await shelf.addImage(image);
  return { shelf, image, entry: { digest: image.manifest.digest, size: image.manifest.bytes.length } };
}

function index(...entries: readonly Entry[]): Buffer {
  const platform = { os: "wasip1", architecture: "wasm" };
  const manifests = entries.map(entry => ({ mediaType: OCI_MANIFEST, platform, ...entry }));
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
}

describe("fetchModule", () => {
  it("follows index, manifest and layer to the module, and tells the way", async () => {
    const shelf = new Shelf();
    const image = await moduleImage({ module: MODULE, name: "f", layout: "cncf", rootIds: ["r"] });
    await shelf.addImage(image);
    const top = index({ digest: image.manifest.digest, size: image.manifest.bytes.length });
    const sink = new MemorySink();
    const fetched = await fetchModule(shelf, at(shelf.add(top)), sink);
    assert.deepEqual(sink.bytes, MODULE);
    assert.deepEqual(fetched, {
      indexBytes: top,
      innerIndexBytes: null,
      manifestDigest: image.manifest.digest,
      manifestBytes: image.manifest.bytes,
      layout: "cncf",
      layerDigest: digestOf(MODULE),
      moduleSha256: createHash("sha256").update(MODULE).digest("hex"),
      moduleSize: MODULE.length,
      rootIds: ["r"],
    });
  });

  it("takes the root ids from wherever the layout has them", async () => {
    for (const layout of ["cncf", "compat", "solo-oci"] as const) {
      const shelf = new Shelf();
      const digest = await shelf.addImage(
        await moduleImage({ module: MODULE, name: "f", layout, rootIds: ["a", "b"] }),
      );
      assert.deepEqual((await fetchModule(shelf, at(digest), new MemorySink())).rootIds, ["a", "b"], layout);
    }
  });

  it("accepts a plain `oras push`, and only with a module in it", async () => {
    const shelf = new Shelf();
    const push = (bytes: Buffer) => {
      shelf.add(bytes);
      return shelf.add(manifestBytes({ layers: [descriptorOf(bytes, OCI_LAYER, "f.wasm")] }));
    };
    assert.equal((await fetchModule(shelf, at(push(MODULE)), new MemorySink())).layout, "titled");
    const text = push(Buffer.from("(module) (; text ;)"));
    await assert.rejects(fetchModule(shelf, at(text), new MemorySink()), coded("NotAModule", /no Wasm/));
  });

  const strangers: readonly (readonly [what: string, bytes: Buffer, message: RegExp])[] = [
    ["a component", COMPONENT, /Wasm component/],
    ["another version", Buffer.from([0, 0x61, 0x73, 0x6d, 2, 0, 0, 0]), /version \(02000000\)/],
    ["half a header", MODULE.subarray(0, 7), /7 bytes are no Wasm module/],
    ["nothing", Buffer.alloc(0), /0 bytes/],
    ["a gzip", Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0]), /starts with 1f8b08/],
  ];
  for (const layout of ["cncf", "compat"] as const) {
    for (const [what, bytes, message] of strangers) {
      it(`refuses ${what} in a ${layout} image`, async () => {
        const shelf = new Shelf();
        const digest = await shelf.addImage(await moduleImage({ module: bytes, name: "f", layout }));
        const fetching = fetchModule(shelf, at(digest), new MemorySink());
        await assert.rejects(fetching, coded("NotAModule", message));
      });
    }
  }

  it("refuses an artifact that its config calls a component before fetching its layer", async () => {
    const shelf = new Shelf();
    const config = Buffer.from('{"architecture":"wasm","os":"wasip2","layerDigests":[]}');
    const layer = descriptorOf(MODULE, CNCF_WASM);
    shelf.add(config);
    shelf.add(MODULE);
    const digest = shelf.add(manifestBytes({ config: descriptorOf(config, CNCF_CONFIG), layers: [layer] }));
    await assert.rejects(fetchModule(shelf, at(digest), new MemorySink()), coded("UnsupportedLayout", /wasip2/));
    assert.ok(!shelf.asked.includes(layer.digest));
  });

  it("refuses a config, a module and an unpacked module larger than allowed", async () => {
    const shelf = new Shelf();
    const config = { ...descriptorOf(MODULE, CNCF_CONFIG), size: 64 * 1024 + 1 };
    const layer = descriptorOf(MODULE, CNCF_WASM);
    const bigConfig = shelf.add(manifestBytes({ config, layers: [layer] }));
    await assert.rejects(fetchModule(shelf, at(bigConfig), new MemorySink()), coded("TooLarge", /config/));
    assert.deepEqual(shelf.asked, [bigConfig]);
    const big = Buffer.concat([MODULE, Buffer.alloc(1024 * 1024)]);
    for (const layout of ["cncf", "compat"] as const) {
      const digest = await shelf.addImage(await moduleImage({ module: big, name: "f", layout }));
      const sink = new MemorySink();
      await assert.rejects(fetchModule(shelf, at(digest), sink), coded("TooLarge"));
      assert.ok(sink.bytes.length <= 1024 * 1024);
    }
  });

  it("follows an index in an index, and no further", async () => {
    const { shelf, image, entry } = await shelved();
    const inner = index(entry);
    const outer = index({ digest: shelf.add(inner), size: inner.length, mediaType: OCI_INDEX });
    const fetched = await fetchModule(shelf, at(shelf.add(outer)), new MemorySink());
    assert.deepEqual([fetched.indexBytes, fetched.innerIndexBytes], [outer, inner]);
    assert.equal(fetched.manifestDigest, image.manifest.digest);
    const third = index({ digest: shelf.add(outer), size: outer.length, mediaType: OCI_INDEX });
    await assert.rejects(
      fetchModule(shelf, at(shelf.add(third)), new MemorySink()),
      coded("BadManifest", /more than 2 indexes/),
    );
  });

  it("refuses a child that isn't what its index lists", async () => {
    const { shelf, entry } = await shelved();
    const fetching = (change: object) => {
      shelf.asked.length = 0;
      return fetchModule(shelf, at(shelf.add(index({ ...entry, ...change }))), new MemorySink());
    };
    await assert.rejects(fetching({ size: 1 }), coded("SizeMismatch"));
    await assert.rejects(fetching({ mediaType: DOCKER_MANIFEST }), coded("BadManifest", /the index calls/));
    await assert.rejects(fetching({ mediaType: OCI_INDEX }), coded("BadManifest", /the index calls/));
    const other = digestOf(MODULE);
    shelf.add(MODULE);
    await assert.rejects(fetching({ digest: other }), coded("BadManifest"));
    // The bytes of another image under the digest that the index pins.
    const { manifest } = await moduleImage({ module: MODULE, name: "other", layout: "cncf" });
    shelf.change(entry.digest, () => manifest.bytes);
    await assert.rejects(fetching({}), coded("DigestMismatch"));
  });

  it("goes by the platform given where an index leaves a choice", async () => {
    const { shelf, image, entry } = await shelved();
    const other = { ...entry, digest: digestOf(MODULE), platform: { os: "linux", architecture: "arm64" } };
    const top = index({ ...entry, platform: { os: "linux", architecture: "amd64" } }, other);
    const address = at(shelf.add(top));
    await assert.rejects(fetchModule(shelf, address, new MemorySink()), coded("UnsupportedLayout", /leaves a choice/));
    const { manifestDigest } = await fetchModule(shelf, address, new MemorySink(), { platform: "linux/amd64" });
    assert.equal(manifestDigest, image.manifest.digest);
  });

  it("reads a child without mediaType as what its index lists, also offline", async () => {
    const { shelf, image } = await shelved();
    const bytes = Buffer.from(image.manifest.bytes.toString().replace(`"mediaType":"${OCI_MANIFEST}",`, ""));
    const digest = shelf.add(bytes);
    const top = shelf.add(index({ digest, size: bytes.length, mediaType: DOCKER_MANIFEST }));
    const store = new MemoryStore();
    shelf.contentTypes.set(digest, DOCKER_MANIFEST);
    const first = await fetchModule(shelf, at(top), new MemorySink(), { store });
    store.content.set(digestOf(MODULE), MODULE);
    assert.deepEqual(await fetchModule(new Shelf(), at(top), new MemorySink(), { store }), first);
  });

  it("refuses root ids that are none, and says which image", async () => {
    const shelf = new Shelf();
    const annotations = { [ROOT_IDS_ANNOTATION]: '"a"' };
    const digest = await shelf.addImage(await moduleImage({ module: MODULE, name: "f", layout: "cncf", annotations }));
    await assert.rejects(
      fetchModule(shelf, at(digest), new MemorySink()),
      coded("BadManifest", new RegExp(`^cannot use the module of reg.example/team/filter@${digest}: `)),
    );
  });

  it("passes on what the sink throws", async () => {
    const shelf = new Shelf();
    for (const layout of ["cncf", "compat"] as const) {
      const digest = await shelf.addImage(await moduleImage({ module: MODULE, name: "f", layout }));
      const sink = { write: () => Promise.reject(new Error("disk full")) };
      await assert.rejects(fetchModule(shelf, at(digest), sink), { message: "disk full" });
    }
  });

  describe("with a store", () => {
    it("keeps everything that a later run needs but the module", async () => {
      for (const layout of ["cncf", "compat", "solo-oci"] as const) {
        const shelf = new Shelf();
        const image = await moduleImage({ module: MODULE, name: "f", layout, rootIds: ["r"] });
        const child = { digest: await shelf.addImage(image), size: image.manifest.bytes.length };
        const address = at(shelf.add(index(child)));
        const store = new MemoryStore();
        const first = await fetchModule(shelf, address, new MemorySink(), { store });
        assert.equal(store.content.has(digestOf(MODULE)), false);
        store.content.set(digestOf(MODULE), MODULE);
        assert.deepEqual(await fetchModule(new Shelf(), address, new MemorySink(), { store }), first, layout);
      }
    });

    it("believes nothing that was kept: what is damaged is fetched again and kept anew", async () => {
      for (const layout of ["cncf", "compat", "solo-oci"] as const) {
        const shelf = new Shelf();
        const digest = await shelf.addImage(await moduleImage({ module: MODULE, name: "f", layout }));
        const store = new MemoryStore();
        const first = await fetchModule(shelf, at(digest), new MemorySink(), { store });
        const kept = new Map(store.content);
        for (const [key, bytes] of kept) store.content.set(key, Buffer.concat([bytes.subarray(1), Buffer.from(" ")]));
        const sink = new MemorySink();
        assert.deepEqual(await fetchModule(shelf, at(digest), sink, { store }), first);
        assert.deepEqual(sink.bytes, MODULE);
        assert.deepEqual(store.content, kept);
      }
    });

    it("fetches what is missing, and fails where nobody has it", async () => {
      const shelf = new Shelf();
      const digest = await shelf.addImage(await moduleImage({ module: MODULE, name: "f", layout: "compat" }));
      const store = new MemoryStore();
      const { layerDigest } = await fetchModule(shelf, at(digest), new MemorySink(), { store });
      store.content.delete(layerDigest);
      await assert.rejects(fetchModule(new Shelf(), at(digest), new MemorySink(), { store }), coded("NotFound"));
      assert.equal((await fetchModule(shelf, at(digest), new MemorySink(), { store })).layerDigest, layerDigest);
    });

    it("keeps no content that turned out to be other content", async () => {
      const shelf = new Shelf();
      const { blobs, manifest } = await moduleImage({ module: MODULE, name: "f", layout: "compat" });
      const digest = await shelf.addImage({ blobs, manifest, layout: "compat" });
      const layer = blobs.at(-1)?.digest ?? "";
      // The gzip header's "operating system": other bytes, the same module.
      shelf.change(layer, bytes => Buffer.concat([bytes.subarray(0, 9), Buffer.from([3]), bytes.subarray(10)]));
      const store = new MemoryStore();
      await assert.rejects(fetchModule(shelf, at(digest), new MemorySink(), { store }), coded("DigestMismatch"));
      assert.equal(store.content.has(layer), false);
    });

    it("hashes what it kept while reading it, not only before", async () => {
      const shelf = new Shelf();
      const module = Buffer.concat([MODULE, Buffer.from("one")]);
      const digest = await shelf.addImage(await moduleImage({ module, name: "f", layout: "cncf" }));
      const contents = [module, Buffer.concat([MODULE, Buffer.from("two")])];
      class Changing extends MemoryStore {
        override async open(asked: string) {
          if (asked !== digestOf(module)) return super.open(asked);
          const bytes = contents.shift() ?? Buffer.alloc(0);
          return (async function* () {
            yield bytes;
          })();
        }
      }
      const fetching = fetchModule(shelf, at(digest), new MemorySink(), { store: new Changing() });
      await assert.rejects(fetching, coded("DigestMismatch"));
    });
  });
});
