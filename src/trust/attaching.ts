import type { RegistryClient } from "../oci/client.ts";
import { digestOf, hexOf } from "../oci/digest.ts";
import { RegistryError } from "../oci/error.ts";
import { DEFAULT_LIMITS } from "../oci/limits.ts";
import type { FetchedManifest } from "../oci/manifest.ts";
import { CREATED_ANNOTATION, OCI_CONFIG, OCI_EMPTY, OCI_MANIFEST } from "../oci/media-types.ts";
import { blobOf } from "../oci/push.ts";
import { inSeconds } from "../rfc3339.ts";
import { SIGNATURE_PREDICATE } from "./claim.ts";
import { SIGNATURE_ANNOTATION, SIMPLE_SIGNING } from "./collection.ts";

const BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json";

export type SignatureTarget = Pick<RegistryClient, "manifest" | "pushBlob" | "pushManifest">;

interface Place {
  readonly registry: string;
  readonly repository: string;
}

/** Attaches a bundle to an image as cosign does: a manifest whose subject is the image. @returns its digest */
export async function attachBundle(
  client: SignatureTarget,
  { registry, repository }: Place,
  subject: FetchedManifest,
  bundle: Buffer,
  created: Date,
  signal: AbortSignal,
): Promise<string> {
  const config = blobOf(Buffer.from("{}"));
  const layer = blobOf(bundle);
  for (const blob of [config, layer]) await client.pushBlob(registry, repository, blob, signal);
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType: BUNDLE_TYPE,
    config: { mediaType: OCI_EMPTY, digest: config.digest, size: config.size, artifactType: BUNDLE_TYPE },
    layers: [{ mediaType: BUNDLE_TYPE, digest: layer.digest, size: layer.size }],
    subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.bytes.length },
    annotations: {
      "dev.sigstore.bundle.content": "dsse-envelope",
      "dev.sigstore.bundle.predicateType": SIGNATURE_PREDICATE,
      [CREATED_ANNOTATION]: inSeconds(created),
    },
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  const digest = digestOf(bytes);
  await client.pushManifest(registry, repository, digest, { bytes, mediaType: OCI_MANIFEST }, signal);
  return digest;
}

/**
 * Adds a signature of the older form to the ones that stand under an image's tag. There is no compare-and-set: of two
 * who sign at once, one may be lost.
 * @returns the tag
 */
export async function attachPayload(
  client: SignatureTarget,
  { registry, repository }: Place,
  digest: string,
  { payload, signature }: { readonly payload: Buffer; readonly signature: Buffer },
  signal: AbortSignal,
): Promise<string> {
  const tag = `sha256-${hexOf(digest)}.sig`;
  const layer = blobOf(payload);
  const entry = {
    mediaType: SIMPLE_SIGNING,
    digest: layer.digest,
    size: layer.size,
    annotations: { [SIGNATURE_ANNOTATION]: signature.toString("base64") },
  };
  const layers = [...(await signaturesUnder(client, { registry, repository }, tag, signal)), entry];
  if (layers.length > DEFAULT_LIMITS.signatures) {
    throw new RegistryError("TooLarge", `${tag} has ${DEFAULT_LIMITS.signatures} signatures already: delete some`);
  }
  const config = blobOf(
    Buffer.from(
      JSON.stringify({
        architecture: "",
        os: "",
        config: {},
        rootfs: { type: "layers", diff_ids: layers.map(one => one.digest) },
      }),
    ),
  );
  for (const blob of [config, layer]) await client.pushBlob(registry, repository, blob, signal);
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, digest: config.digest, size: config.size },
    layers,
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  await client.pushManifest(registry, repository, tag, { bytes, mediaType: OCI_MANIFEST }, signal);
  return tag;
}

async function signaturesUnder(
  client: SignatureTarget,
  { registry, repository }: Place,
  tag: string,
  signal: AbortSignal,
) {
  try {
    const { manifest } = await client.manifest(registry, repository, tag, signal);
    if (manifest.kind === "image") return manifest.layers;
    throw new RegistryError("UnsupportedLayout", `what ${tag} points to is an index`);
  } catch (error) {
    if (error instanceof RegistryError && error.code === "NotFound") return [];
    throw error;
  }
}
