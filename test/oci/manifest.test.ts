import assert from "node:assert/strict";
import { readManifest } from "../../src/oci/manifest.ts";
import { DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { descriptorOf, MODULE, manifestBytes } from "./images.ts";
import { coded } from "./scripted-server.ts";

const LAYER = descriptorOf(MODULE, "application/wasm");
const ENTRY = { ...descriptorOf(MODULE, OCI_MANIFEST), platform: { os: "wasip1", architecture: "wasm" } };
const index = (change: Readonly<Record<string, unknown>> = {}) =>
  Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [ENTRY], ...change }));

describe("readManifest", () => {
  it("reads an image", () => {
    const { manifest, mediaType } = readManifest(
      manifestBytes({ layers: [LAYER] }),
      `${OCI_MANIFEST}; charset=utf-8`,
      null,
    );
    assert.equal(mediaType, OCI_MANIFEST);
    assert.ok(manifest.kind === "image");
    assert.deepEqual(manifest.layers, [LAYER]);
  });

  it("reads an index", () => {
    const { manifest } = readManifest(index(), OCI_INDEX, null);
    assert.ok(manifest.kind === "index");
    assert.deepEqual(manifest.manifests, [ENTRY]);
  });

  it("goes by Content-Type, else by content, where a manifest doesn't name its type", () => {
    const nameless = manifestBytes({ mediaType: undefined });
    assert.equal(readManifest(nameless, DOCKER_MANIFEST, null).mediaType, DOCKER_MANIFEST);
    assert.equal(readManifest(nameless, null, null).mediaType, OCI_MANIFEST);
    assert.equal(readManifest(index({ mediaType: undefined }), null, null).mediaType, OCI_INDEX);
  });

  const refused: readonly (readonly [what: string, bytes: Buffer, contentType: string | null, code: string])[] = [
    ["layers and manifests at once", manifestBytes({ manifests: [ENTRY] }), null, "BadManifest"],
    ["the same without a type", manifestBytes({ manifests: [ENTRY], mediaType: undefined }), null, "BadManifest"],
    ["an index with a config", index({ config: LAYER }), null, "BadManifest"],
    ["an index called an image", index({ mediaType: undefined }), OCI_MANIFEST, "BadManifest"],
    ["an image called an index", manifestBytes({ mediaType: undefined }), OCI_INDEX, "BadManifest"],
    ["a Content-Type that differs", manifestBytes(), DOCKER_MANIFEST, "BadManifest"],
    ["duplicate keys", Buffer.from(manifestBytes().toString().replace("{", '{"layers":[],')), null, "BadManifest"],
    ["a type of something else", manifestBytes({ mediaType: "application/json" }), null, "UnsupportedLayout"],
    ["Docker's schema 1", manifestBytes({ schemaVersion: 1 }), null, "UnsupportedLayout"],
    ["no schema version", manifestBytes({ schemaVersion: undefined }), null, "BadManifest"],
    ["no layers", manifestBytes({ layers: undefined }), null, "BadManifest"],
    ["layers that are no list", manifestBytes({ layers: { 0: LAYER } }), null, "BadManifest"],
    ["257 layers", manifestBytes({ layers: Array(257).fill(LAYER) }), null, "BadManifest"],
    ["65 manifests", index({ manifests: Array(65).fill(ENTRY) }), null, "BadManifest"],
    ["no config", manifestBytes({ config: undefined }), null, "BadManifest"],
    ["a null layer", manifestBytes({ layers: [null] }), null, "BadManifest"],
    ["annotations that are no texts", manifestBytes({ annotations: { a: 1 } }), null, "BadManifest"],
    ["a subject that is no descriptor", manifestBytes({ subject: { digest: "x" } }), null, "BadManifest"],
  ];
  for (const [what, bytes, contentType, code] of refused) {
    it(`refuses ${what}`, () => assert.throws(() => readManifest(bytes, contentType, null), coded(code)));
  }

  it("says so where one document is two", () => {
    const two = manifestBytes({ manifests: [ENTRY] });
    assert.throws(() => readManifest(two, null, null), coded("BadManifest", /both layers and manifests/));
  });

  const descriptors: readonly (readonly [what: string, change: Readonly<Record<string, unknown>>])[] = [
    ["a digest that is a path", { digest: "sha256:../../../../etc/passwd" }],
    ["a digest in upper case", { digest: LAYER.digest.toUpperCase() }],
    ["a digest of another algorithm", { digest: `md5:${"0".repeat(32)}` }],
    ["a negative size", { size: -1 }],
    ["half a byte", { size: 0.5 }],
    ["a size beyond exact numbers", { size: 2 ** 53 }],
    ["a size as text", { size: "8" }],
    ["a media type that breaks lines", { mediaType: "application/wasm\r\nx: y" }],
    ["no media type", { mediaType: undefined }],
  ];
  for (const [what, change] of descriptors) {
    it(`refuses a layer with ${what}`, () => {
      const bytes = manifestBytes({ layers: [{ ...LAYER, ...change }] });
      assert.throws(() => readManifest(bytes, null, null), coded("BadManifest", /layers\[0\]/));
    });
  }

  it("refuses bytes that are not what was asked for, before reading them", () => {
    assert.throws(() => readManifest(Buffer.from("{"), null, LAYER.digest), coded("DigestMismatch"));
  });
});
