import { STATEMENT_TYPE } from "../src/trust/statement.ts";

/** How a release was made. */
export interface Making {
  /** The image index and the images in it: their digests. */
  readonly subjects: readonly { readonly name: string; readonly digest: string }[];
  /** What was asked for. */
  readonly version: string;
  readonly platforms: readonly string[];
  readonly source: string;
  readonly revision: string;
  /** Images that the Dockerfile starts from. */
  readonly images: readonly { readonly argument: string; readonly name: string; readonly digest: string }[];
  readonly packing: { readonly compression: string; readonly level: number };
  /** In seconds since 1970. */
  readonly epoch: number;
  /** SHA-256 of package-lock.json, in hexadecimal digits: it pins every package by its hash. */
  readonly lock: string;
  readonly sbom: string;
  /** Who vouches for this: a URI that stands for the machine or service. */
  readonly builder: { readonly id: string; readonly versions: Readonly<Record<string, string>> };
  readonly started: Date;
  readonly finished: Date;
}

export const PROVENANCE_PREDICATE = "https://slsa.dev/provenance/v1";
/** What the parameters mean: docs/release.md. */
const BUILD_TYPE = "https://wasmount.dev/release/v1";

/** Where a release comes from: an in-toto statement with SLSA's provenance (slsa.dev/spec/v1.0/provenance). */
export function provenanceOf(making: Making): object {
  const { version, platforms, source, revision, images, packing, epoch, builder } = making;
  return {
    _type: STATEMENT_TYPE,
    subject: making.subjects.map(({ name, digest }) => ({ name, digest: { sha256: hex(digest) } })),
    predicateType: PROVENANCE_PREDICATE,
    predicate: {
      buildDefinition: {
        buildType: BUILD_TYPE,
        externalParameters: {
          version,
          platforms,
          source: { uri: `git+${source}`, digest: { gitCommit: revision } },
          images: Object.fromEntries(images.map(({ argument, name }) => [argument, name])),
          packing,
        },
        internalParameters: { sourceDateEpoch: epoch },
        resolvedDependencies: [
          { uri: `git+${source}`, digest: { gitCommit: revision } },
          { name: "package-lock.json", digest: { sha256: making.lock } },
          ...images.map(({ name, digest }) => ({ uri: `oci://${name}`, digest: { sha256: hex(digest) } })),
        ],
      },
      runDetails: {
        builder: { id: builder.id, version: builder.versions },
        metadata: { startedOn: whole(making.started), finishedOn: whole(making.finished) },
        byproducts: [{ name: "sbom.spdx.json", digest: { sha256: hex(making.sbom) } }],
      },
    },
  };
}

function hex(digest: string): string {
  return digest.slice("sha256:".length);
}

/** RFC 3339 without fractions, as SLSA has it. */
function whole(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, "Z");
}
