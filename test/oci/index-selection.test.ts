import assert from "node:assert/strict";
import type { Descriptor } from "../../src/oci/descriptor.ts";
import { selectManifest } from "../../src/oci/index-selection.ts";
import type { ImageIndex } from "../../src/oci/manifest.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { descriptorOf } from "./images.ts";
import { coded } from "./scripted-server.ts";

function entry(platform: string | null, change: Partial<Descriptor> = {}): Descriptor {
  const [os = "", architecture = ""] = platform?.split("/") ?? [];
  const described = descriptorOf(Buffer.from(`${platform}${JSON.stringify(change)}`), OCI_MANIFEST);
  return { ...described, ...(platform === null ? {} : { platform: { os, architecture } }), ...change };
}

const choose = (...manifests: readonly Descriptor[]) => chooseFor(null, ...manifests);

function chooseFor(platform: string | null, ...manifests: readonly Descriptor[]): number {
  const index: ImageIndex = {
    kind: "index",
    mediaType: OCI_INDEX,
    artifactType: null,
    manifests,
    subject: null,
    annotations: {},
  };
  return manifests.indexOf(selectManifest(index, platform));
}

const attestation = (platform = "unknown/unknown") =>
  entry(platform, { annotations: { "vnd.docker.reference.type": "attestation-manifest" } });

describe("selectManifest", () => {
  it("takes the only image, whatever its platform", () => {
    assert.equal(choose(entry("windows/arm64")), 0);
    assert.equal(choose(entry(null)), 0);
  });

  it("does not count attestations", () => {
    assert.equal(choose(attestation(), entry("linux/arm64")), 1);
    assert.equal(choose(attestation("linux/amd64"), entry("linux/arm64")), 1);
  });

  it("takes the only one for Wasm", () => {
    for (const os of ["wasip1", "wasi", "js", ""]) {
      assert.equal(choose(entry("linux/amd64"), entry(`${os}/wasm`), entry("linux/arm64")), 1, os);
    }
  });

  it("takes no component for a module", () => {
    assert.equal(choose(entry("wasip2/wasm"), entry("wasip1/wasm")), 1);
  });

  it("takes the only one for the platform given, where the rest is not enough", () => {
    const entries = [entry("linux/arm64"), entry("linux/amd64"), attestation("linux/amd64")];
    assert.equal(chooseFor("linux/amd64", ...entries), 1);
    assert.equal(chooseFor("linux/arm64", ...entries), 0);
    assert.equal(chooseFor("linux/amd64", ...entries, entry("wasip1/wasm")), 3);
    for (const platform of [null, "linux/s390x", "linux"]) {
      assert.throws(() => chooseFor(platform, ...entries), coded("UnsupportedLayout", /leaves a choice/));
    }
  });

  it("counts an image once that is listed for several platforms", () => {
    const { platform: _, ...image } = entry("linux/amd64");
    const listed = ["amd64", "arm64"].map(architecture => ({ ...image, platform: { os: "linux", architecture } }));
    assert.equal(choose(...listed), 1);
    const [one, two] = listed;
    assert.ok(one && two);
    assert.throws(() => choose(one, { ...two, size: one.size + 1 }), coded("UnsupportedLayout", /leaves a choice/));
  });

  it("takes an index in an index for what it is", () => {
    assert.equal(choose(entry(null, { mediaType: OCI_INDEX }), attestation()), 0);
    assert.throws(() => choose(entry(null, { mediaType: OCI_INDEX }), entry(null)), coded("UnsupportedLayout"));
    assert.throws(
      () => choose(entry("wasip1/wasm", { mediaType: "application/json" })),
      coded("UnsupportedLayout", /lists no image/),
    );
  });

  it("refuses to choose", () => {
    const ambiguous = [
      [entry("wasip1/wasm"), entry("wasi/wasm"), entry("linux/amd64", { size: 1 }), entry("linux/amd64", { size: 2 })],
      [entry("linux/arm64"), entry("linux/s390x")],
      [entry(null, { size: 1 }), entry(null, { size: 2 })],
    ];
    for (const entries of ambiguous)
      assert.throws(() => choose(...entries), coded("UnsupportedLayout", /leaves a choice/));
    assert.throws(() => choose(attestation()), coded("UnsupportedLayout", /lists no image/));
  });

  it("names what it could not choose from, with digests to choose by", () => {
    const [one, two] = [entry("linux/arm64"), entry("linux/amd64")];
    const names = new RegExp(`"linux/arm64" ${one.digest}, "linux/amd64" ${two.digest}\\).*by its digest`);
    assert.throws(() => choose(one, two), coded("UnsupportedLayout", names));
    const many = Array.from({ length: 9 }, (_, number) => entry(`linux/${number}`));
    assert.throws(() => choose(...many), coded("UnsupportedLayout", /"linux\/4" sha256:[0-9a-f]{64}, and 4 more\)/));
  });

  it("prints platforms without what could disturb a terminal", () => {
    const evil = entry("\u001b[2J/x");
    assert.throws(() => choose(evil, entry("linux/arm64")), coded("UnsupportedLayout", /"\?\[2J\/x"/));
  });
});
