import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Descriptor } from "../src/oci/descriptor.ts";
import { OCI_EMPTY, OCI_INDEX, OCI_MANIFEST } from "../src/oci/media-types.ts";
import { blobOf } from "../src/oci/push.ts";
import { LayoutFolder } from "../src/store/layout-folder.ts";
import { PAYLOAD_TYPE } from "../src/trust/statement.ts";
import type { BaseImage } from "./bases.ts";
import type { Builder } from "./builder.ts";
import { type BuiltImage, NODE, readBuiltImage } from "./built-image.ts";
import { CHECKOUT, expectOwn, type OwnBundle, type Revision } from "./checkout.ts";
import { ReleaseError } from "./error.ts";
import { describe, json, type Packing, packImage } from "./packed-image.ts";
import { ownPlatform, type Platform } from "./platform.ts";
import { provenanceOf } from "./provenance.ts";
import { SPDX_TYPE, sbomOf } from "./sbom.ts";

export interface ReleaseRequest extends Revision {
  readonly version: string;
  readonly platforms: readonly Platform[];
  readonly source: string;
  readonly build: BaseImage;
  readonly base: BaseImage;
  readonly packing: Pick<Packing, "compression" | "level">;
  readonly secrets: Readonly<Record<string, string>>;
  /** Whether this machine can run other platforms' programs: then they have compiled code of the fetcher, too. */
  readonly emulated: boolean;
  readonly builderId: string;
  /** A folder that is empty or not there. */
  readonly output: string;
  readonly started: Date;
}

export interface Release {
  /** Of the image index. */
  readonly digest: string;
  /** By architecture: of the image, and what nodes fetch of it, in bytes. */
  readonly images: Readonly<Record<string, { readonly digest: string; readonly bytes: number }>>;
  readonly sbom: string;
  readonly provenance: string;
}

/**
 * Makes a release in a folder: oci/ is an OCI image layout with the index, the images and what is attached to them, by
 * the release's version as its name; sbom.spdx.json and provenance.json beside it, and SHA256SUMS.
 * @throws {ReleaseError}
 */
export async function makeRelease(request: ReleaseRequest, builder: Builder, own: OwnBundle): Promise<Release> {
  const { version, revision, source, epoch, output } = request;
  const created = new Date(epoch * 1000).toISOString().replace(/\.\d+Z$/, "Z");
  const layout = await LayoutFolder.create(join(output, "oci"));
  const put = (bytes: Buffer) => layout.putBlob(blobOf(bytes));
  const images: (Descriptor & { readonly bytes: number; readonly architecture: string })[] = [];
  const nodes = [];
  for (const platform of request.platforms) {
    const { architecture } = platform;
    const built = await build(request, platform, builder, created);
    expectOwn(built, own);
    const node = nodeOf(built);
    nodes.push({ architecture, ...node });
    const packed = await packImage(built, platform, {
      ...request.packing,
      created,
      history: { base: request.base.name, node: `node ${node.version}`, wasmount: `wasmount ${version}` },
      annotations: {
        "org.opencontainers.image.base.name": request.base.name,
        "org.opencontainers.image.base.digest": request.base.digest,
      },
    });
    for (const bytes of [...packed.blobs, packed.manifest.bytes]) await put(bytes);
    const bytes = packed.blobs.reduce((sum, blob) => sum + blob.length, 0);
    images.push({ ...packed.manifest.descriptor, bytes, architecture });
  }
  const annotations = {
    "org.opencontainers.image.created": created,
    "org.opencontainers.image.revision": revision,
    "org.opencontainers.image.source": source,
    "org.opencontainers.image.title": "wasmount",
    "org.opencontainers.image.version": version,
  };
  const index = json({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: images.map(({ mediaType, digest, size, architecture }) => ({
      mediaType,
      digest,
      size,
      platform: { architecture, os: "linux" },
    })),
    annotations,
  });
  await put(index);
  const subject = describe(index, OCI_INDEX);
  await layout.setEntry(subject, version);

  const sbom = document(sbomOf({ ...request, created, digest: subject.digest, packages: own.packages, nodes }));
  const provenance = document(
    provenanceOf({
      ...request,
      subjects: [
        { name: "wasmount", digest: subject.digest },
        ...images.map(({ digest, architecture }) => ({ name: `wasmount linux/${architecture}`, digest })),
      ],
      platforms: request.platforms.map(({ architecture }) => `linux/${architecture}`),
      images: [request.build, request.base],
      lock: own.lock,
      sbom: describe(sbom, SPDX_TYPE).digest,
      builder: {
        id: request.builderId,
        versions: { [builder.name]: builder.version, node: process.version.slice(1) },
      },
      finished: new Date(),
    }),
  );
  const attached = {
    sbom: await attach(layout, subject, SPDX_TYPE, sbom, created),
    provenance: await attach(layout, subject, PAYLOAD_TYPE, provenance, created),
  };
  await writeSums(output, { "sbom.spdx.json": sbom, "provenance.json": provenance, "index.json": index });
  return {
    digest: subject.digest,
    images: Object.fromEntries(images.map(({ architecture, digest, bytes }) => [architecture, { digest, bytes }])),
    ...attached,
  };
}

async function build(
  request: ReleaseRequest,
  platform: Platform,
  builder: Builder,
  created: string,
): Promise<BuiltImage> {
  const { version, revision, source, secrets, epoch } = request;
  const folder = await mkdtemp(join(tmpdir(), "wasmount-build-"));
  try {
    const layout = join(folder, "layout");
    const runs = request.emulated ? platform : ownPlatform();
    const args = {
      // buildah does not know it by itself.
      BUILDPLATFORM: `linux/${runs.architecture}`,
      BUILD: request.build.pinned(runs),
      NODE: request.build.pinned(platform),
      BASE: request.base.pinned(platform),
      VERSION: version,
      REVISION: revision,
      SOURCE: source,
      CREATED: created,
    };
    await builder.build({ context: CHECKOUT, platform, args, secrets, epoch, layout });
    return await readBuiltImage(layout, platform);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Which Node an image has, by what its program says of itself: another platform's can't be run here. */
function nodeOf({ files }: BuiltImage): { readonly version: string; readonly sha256: string } {
  const { bytes = Buffer.alloc(0) } = files.find(({ path }) => path === NODE) ?? {};
  const mark = Buffer.from("/download/release/v");
  const at = bytes.indexOf(mark) + mark.length;
  const [, version] = /^(\d+\.\d+\.\d+)\//.exec(bytes.toString("latin1", at, at + 32)) ?? [];
  if (version === undefined) throw new ReleaseError("BadImage", "the image's node says of no release that it is one");
  return { version, sha256: createHash("sha256").update(bytes).digest("hex") };
}

/** Puts a document beside an image as an artifact that refers to it (image-spec, manifest.md, "subject"). */
async function attach(
  layout: LayoutFolder,
  subject: Descriptor,
  artifactType: string,
  content: Buffer,
  created: string,
): Promise<string> {
  const empty = Buffer.from("{}");
  const manifest = json({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType,
    config: describe(empty, OCI_EMPTY),
    layers: [describe(content, artifactType)],
    subject,
    annotations: { "org.opencontainers.image.created": created },
  });
  for (const bytes of [empty, content, manifest]) await layout.putBlob(blobOf(bytes));
  const descriptor = { ...describe(manifest, OCI_MANIFEST), artifactType };
  await layout.setEntry(descriptor, null);
  return descriptor.digest;
}

async function writeSums(output: string, files: Readonly<Record<string, Buffer>>): Promise<void> {
  await mkdir(output, { recursive: true });
  const lines = [];
  for (const [name, bytes] of Object.entries(files)) {
    await writeFile(join(output, name), bytes);
    lines.push(`${createHash("sha256").update(bytes).digest("hex")}  ${name}\n`);
  }
  await writeFile(join(output, "SHA256SUMS"), lines.join(""));
}

function document(value: object): Buffer {
  return Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
}
