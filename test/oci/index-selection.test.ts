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

function choose(...manifests: readonly Descriptor[]): number {
  const index: ImageIndex = {
    kind: "index",
    mediaType: OCI_INDEX,
    artifactType: null,
    manifests,
    subject: null,
    annotations: {},
  };
  return manifests.indexOf(selectManifest(index));
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
    assert.equal(choose(entry("wasip2/wasm"), entry("linux/amd64")), 1);
    assert.equal(choose(entry("wasip2/wasm"), entry("wasip1/wasm")), 1);
  });

  it("takes the only one for linux/amd64", () => {
    assert.equal(choose(entry("linux/arm64"), entry("linux/amd64"), attestation()), 1);
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
    assert.throws(() => choose(entry(null, { mediaType: OCI_INDEX })), coded("UnsupportedLayout", /lists no image/));
  });

  it("prints platforms without what could disturb a terminal", () => {
    const evil = entry("\u001b[2J/x");
    assert.throws(() => choose(evil, entry("linux/arm64")), coded("UnsupportedLayout", /"\?\[2J\/x"/));
  });
});
