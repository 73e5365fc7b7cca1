import type { BundledPackage } from "./packages.ts";

/** What is in a release, for those who ask whether something in it is known to be bad. */
export interface Contents {
  readonly version: string;
  /** Where the sources are: a URL. */
  readonly source: string;
  readonly revision: string;
  /** ISO 8601, whole seconds, in UTC. */
  readonly created: string;
  /** The digest of the image index. */
  readonly digest: string;
  readonly packages: readonly BundledPackage[];
  /** Node, once for each platform: it is another program there. */
  readonly nodes: readonly { readonly architecture: string; readonly version: string; readonly sha256: string }[];
  /** The image that the release's images start from. */
  readonly base: { readonly name: string; readonly digest: string };
}

export const SPDX_TYPE = "application/spdx+json";

/**
 * A software bill of materials (SPDX 2.3, in JSON) of an image index: the packages in the bundle and those alone, Node,
 * and the base, of whose content its own makers have to say more.
 */
export function sbomOf(contents: Contents): object {
  const { version, source, revision, created, digest, base } = contents;
  const [, hex = ""] = digest.split(":");
  const image = {
    ...unit("image", "wasmount", version, "CONTAINER"),
    checksums: [{ algorithm: "SHA256", checksumValue: hex }],
    externalRefs: [purl(`pkg:oci/wasmount@${encodeURIComponent(digest)}`)],
  };
  const program = {
    ...unit("wasmount", "wasmount", version, "APPLICATION"),
    licenseDeclared: "Apache-2.0",
    downloadLocation: `git+${source}@${revision}`,
  };
  const bundled = contents.packages.map(({ name, license, sha512, ...one }, at) => ({
    ...unit(`npm-${at}`, name, one.version, "LIBRARY"),
    licenseDeclared: license ?? "NOASSERTION",
    checksums: [{ algorithm: "SHA512", checksumValue: sha512 }],
    // purl-spec, npm: the scope's "@" is the one that is encoded.
    externalRefs: [purl(`pkg:npm/${name.replace("@", "%40")}@${encodeURIComponent(one.version)}`)],
  }));
  const nodes = contents.nodes.map(({ architecture, sha256, ...one }) => ({
    ...unit(`node-${architecture}`, "node", one.version, "APPLICATION"),
    licenseDeclared: "MIT",
    checksums: [{ algorithm: "SHA256", checksumValue: sha256 }],
    comment: `the program /usr/local/bin/node of linux/${architecture}`,
    externalRefs: [purl(`pkg:generic/node@${one.version}?arch=${architecture}`), cpe(one.version)],
  }));
  const below = {
    ...unit("base", base.name, base.digest, "CONTAINER"),
    checksums: [{ algorithm: "SHA256", checksumValue: base.digest.slice("sha256:".length) }],
  };
  const relations = [
    relation("SPDXRef-DOCUMENT", "DESCRIBES", image.SPDXID),
    ...[program, ...nodes].map(({ SPDXID }) => relation(image.SPDXID, "CONTAINS", SPDXID)),
    relation(image.SPDXID, "DESCENDANT_OF", below.SPDXID),
    ...bundled.map(({ SPDXID }) => relation(program.SPDXID, "CONTAINS", SPDXID)),
  ];
  return {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name: `wasmount-${version}`,
    documentNamespace: `${source}/spdx/wasmount-${version}-${hex}`,
    creationInfo: { created, creators: [`Tool: wasmount-release-${version}`] },
    packages: [image, program, ...nodes, below, ...bundled],
    relationships: relations,
  };
}

function unit(id: string, name: string, versionInfo: string, primaryPackagePurpose: string) {
  const unknown = "NOASSERTION";
  return {
    SPDXID: `SPDXRef-${id}`,
    name,
    versionInfo,
    primaryPackagePurpose,
    downloadLocation: unknown,
    filesAnalyzed: false,
    licenseConcluded: unknown,
    licenseDeclared: unknown,
    copyrightText: unknown,
  };
}

function purl(locator: string) {
  return { referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: locator };
}

function cpe(version: string) {
  const locator = `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:lts:*:*:*`;
  return { referenceCategory: "SECURITY", referenceType: "cpe23Type", referenceLocator: locator };
}

function relation(spdxElementId: string, relationshipType: string, relatedSpdxElement: string) {
  return { spdxElementId, relationshipType, relatedSpdxElement };
}
