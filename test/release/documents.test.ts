import assert from "node:assert/strict";
import { PROVENANCE_PREDICATE, provenanceOf } from "../../release/provenance.ts";
import { type Contents, sbomOf } from "../../release/sbom.ts";

const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
const revision = "0123456789abcdef0123456789abcdef01234567";
const contents: Contents = {
  version: "1.2.3",
  source: "https://example.test/wasmount",
  revision,
  created: "2023-11-14T22:13:20Z",
  digest: digest("a"),
  packages: [
    { name: "@scope/one", version: "1.0.0", license: "MIT", sha512: "1".repeat(128) },
    { name: "two", version: "2.0.0-rc.1+build", license: null, sha512: "2".repeat(128) },
  ],
  nodes: [{ architecture: "amd64", version: "24.21.0", sha256: "3".repeat(64) }],
  base: { name: "registry.example/base:1", digest: digest("b") },
};

interface Sbom {
  readonly packages: readonly {
    readonly SPDXID: string;
    readonly name: string;
    readonly licenseDeclared: string;
    readonly checksums?: readonly { readonly checksumValue: string }[];
    readonly externalRefs?: readonly { readonly referenceLocator: string }[];
  }[];
  readonly relationships: readonly Readonly<
    Record<"spdxElementId" | "relationshipType" | "relatedSpdxElement", string>
  >[];
  readonly documentNamespace: string;
}

describe("a bill of materials", () => {
  const sbom = sbomOf(contents) as Sbom;

  it("names each package by its locator and the hash of its archive", () => {
    const npm = sbom.packages.filter(({ SPDXID }) => SPDXID.startsWith("SPDXRef-npm-"));
    const seen = npm.map(one => [
      one.name,
      one.licenseDeclared,
      one.checksums?.[0]?.checksumValue,
      one.externalRefs?.[0]?.referenceLocator,
    ]);
    assert.deepEqual(seen, [
      ["@scope/one", "MIT", "1".repeat(128), "pkg:npm/%40scope/one@1.0.0"],
      ["two", "NOASSERTION", "2".repeat(128), "pkg:npm/two@2.0.0-rc.1%2Bbuild"],
    ]);
  });

  it("says what is in what: all of it in the one image that it describes", () => {
    const below = (id: string): readonly string[] =>
      sbom.relationships
        .filter(({ spdxElementId, relationshipType }) => spdxElementId === id && relationshipType !== "DESCENDANT_OF")
        .flatMap(({ relatedSpdxElement }) => [relatedSpdxElement, ...below(relatedSpdxElement)]);
    const all = sbom.packages.map(({ SPDXID }) => SPDXID).filter(id => id !== "SPDXRef-base");
    assert.deepEqual([...below("SPDXRef-DOCUMENT")].sort(), [...all].sort());
    assert.equal(new Set(all).size, all.length);
  });

  it("has a name that no other image's has, and is the same for the same", () => {
    assert.deepEqual(sbomOf(contents), sbom);
    const other = sbomOf({ ...contents, digest: digest("c") }) as Sbom;
    assert.notEqual(other.documentNamespace, sbom.documentNamespace);
  });
});

describe("a provenance", () => {
  const statement = provenanceOf({
    subjects: [
      { name: "wasmount", digest: digest("a") },
      { name: "wasmount linux/amd64", digest: digest("d") },
    ],
    version: "1.2.3",
    platforms: ["linux/amd64"],
    source: contents.source,
    revision,
    images: [
      { argument: "BUILD", name: "registry.example/node:24", digest: digest("e") },
      { argument: "BASE", name: "registry.example/base:1", digest: digest("b") },
    ],
    packing: { compression: "zstd", level: 19 },
    epoch: 1_700_000_000,
    lock: "f".repeat(64),
    sbom: digest("9"),
    builder: { id: "https://ci.example/1", versions: { buildah: "1.28.2" } },
    started: new Date(1_700_000_000_123),
    finished: new Date(1_700_000_100_000),
  }) as Readonly<Record<string, never>>;

  it("is about the index and each image in it", () => {
    assert.deepEqual(statement["subject"], [
      { name: "wasmount", digest: { sha256: "a".repeat(64) } },
      { name: "wasmount linux/amd64", digest: { sha256: "d".repeat(64) } },
    ]);
    assert.equal(statement["predicateType"], PROVENANCE_PREDICATE);
  });

  it("names by digest what went in: sources, packages, base images", () => {
    const { buildDefinition, runDetails } = statement["predicate"] as unknown as Readonly<
      Record<string, Readonly<Record<string, unknown>>>
    >;
    assert.deepEqual(buildDefinition?.["resolvedDependencies"], [
      { uri: "git+https://example.test/wasmount", digest: { gitCommit: revision } },
      { name: "package-lock.json", digest: { sha256: "f".repeat(64) } },
      { uri: "oci://registry.example/node:24", digest: { sha256: "e".repeat(64) } },
      { uri: "oci://registry.example/base:1", digest: { sha256: "b".repeat(64) } },
    ]);
    assert.deepEqual(runDetails, {
      builder: { id: "https://ci.example/1", version: { buildah: "1.28.2" } },
      metadata: { startedOn: "2023-11-14T22:13:20Z", finishedOn: "2023-11-14T22:15:00Z" },
      byproducts: [{ name: "sbom.spdx.json", digest: { sha256: "9".repeat(64) } }],
    });
  });
});
