import { type Descriptor, isMediaType, isRecord, readAnnotations, readDescriptor } from "./descriptor.ts";
import { digestOf } from "./digest.ts";
import { RegistryError } from "./error.ts";
import { parseObject } from "./json.ts";
import { type ContentLimits, DEFAULT_LIMITS } from "./limits.ts";
import { DOCKER_LIST, DOCKER_MANIFEST, IMAGE_TYPES, INDEX_TYPES, OCI_INDEX, OCI_MANIFEST } from "./media-types.ts";

/** An image manifest (image-spec, manifest.md; or Docker's schema 2, which has the same fields). */
export interface ImageManifest {
  readonly kind: "image";
  readonly mediaType: string;
  readonly artifactType: string | null;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject: Descriptor | null;
  readonly annotations: Readonly<Record<string, string>>;
}

/** An image index (image-spec, image-index.md; or Docker's manifest list). */
export interface ImageIndex {
  readonly kind: "index";
  readonly mediaType: string;
  readonly artifactType: string | null;
  readonly manifests: readonly Descriptor[];
  readonly subject: Descriptor | null;
  readonly annotations: Readonly<Record<string, string>>;
}

export type Manifest = ImageManifest | ImageIndex;

/** A manifest whose bytes have the digest given. */
export interface FetchedManifest {
  readonly bytes: Buffer;
  readonly digest: string;
  readonly mediaType: string;
  readonly manifest: Manifest;
}

/** What the client asks for, best first. */
export const ACCEPTED_MANIFESTS = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST].join(", ");

type ListLimits = Pick<ContentLimits, "layers" | "indexEntries">;

/**
 * Reads a manifest's bytes. One document has one meaning here: what the registry calls it (`contentType`), what it
 * calls itself (`mediaType`) and what it holds (`layers` or `manifests`) must agree, because another reader may go by
 * any of the three.
 * @param contentType the response's Content-Type, or null where there was none
 * @param expectedDigest what the bytes must hash to, or null where a tag was asked for
 * @throws {RegistryError} BadManifest, DigestMismatch, UnsupportedLayout
 */
export function readManifest(
  bytes: Buffer,
  contentType: string | null,
  expectedDigest: string | null,
  limits: ListLimits = DEFAULT_LIMITS,
): FetchedManifest {
  const digest = digestOf(bytes);
  if (expectedDigest !== null && digest !== expectedDigest) {
    throw new RegistryError("DigestMismatch", `the manifest's digest is ${digest}, ${expectedDigest} was asked for`);
  }
  const document = parseObject(bytes, "the manifest");
  const mediaType = agreedType(document, contentType === null ? null : withoutParameters(contentType));
  const manifest = INDEX_TYPES.includes(mediaType)
    ? readIndex(document, mediaType, limits)
    : readImage(document, mediaType, limits);
  return { bytes, digest, mediaType, manifest };
}

/** A Content-Type without its parameters, in lower case. */
export function withoutParameters(contentType: string): string {
  return (contentType.split(";")[0] ?? "").trim().toLowerCase();
}

function agreedType(document: Readonly<Record<string, unknown>>, contentType: string | null): string {
  const { mediaType: own, schemaVersion, layers, manifests, fsLayers } = document;
  if (schemaVersion === 1 || fsLayers !== undefined) {
    throw new RegistryError("UnsupportedLayout", "it is a Docker schema 1 manifest; push it again with a newer tool");
  }
  if (schemaVersion !== 2) throw bad("schemaVersion is not 2");
  if (layers !== undefined && manifests !== undefined) {
    throw bad("it has both layers and manifests, so it is an image to one reader and an index to another");
  }
  if (own !== undefined && !isMediaType(own)) throw bad("mediaType is not a media type");
  if (own !== undefined && contentType !== null && own !== contentType) {
    throw bad(`it calls itself ${own}, the registry calls it something else (Content-Type)`);
  }
  const type = own ?? contentType ?? (manifests === undefined ? OCI_MANIFEST : OCI_INDEX);
  if (!IMAGE_TYPES.includes(type) && !INDEX_TYPES.includes(type)) {
    throw new RegistryError(
      "UnsupportedLayout",
      `its media type is ${isMediaType(type) ? type : "malformed"}; supported: ${ACCEPTED_MANIFESTS}`,
    );
  }
  return type;
}

function readImage(document: Readonly<Record<string, unknown>>, mediaType: string, limits: ListLimits): ImageManifest {
  const { layers, config } = document;
  if (document["manifests"] !== undefined) throw bad("it has manifests, but its media type is an image's");
  if (!Array.isArray(layers)) throw bad("layers is not a list");
  if (layers.length > limits.layers) throw bad(`it has more than ${limits.layers} layers`);
  return {
    kind: "image",
    mediaType,
    ...readCommon(document),
    config: readDescriptor(config, "config"),
    layers: layers.map((layer, index) => readDescriptor(layer, `layers[${index}]`)),
  };
}

function readIndex(
  document: Readonly<Record<string, unknown>>,
  mediaType: string,
  { indexEntries }: ListLimits,
): ImageIndex {
  const { manifests } = document;
  if (document["layers"] !== undefined || document["config"] !== undefined) {
    throw bad("it has layers or a config, but its media type is an index's");
  }
  if (!Array.isArray(manifests)) throw bad("manifests is not a list");
  if (manifests.length > indexEntries) throw bad(`it lists more than ${indexEntries} manifests`);
  return {
    kind: "index",
    mediaType,
    ...readCommon(document),
    manifests: manifests.map((entry, index) => readDescriptor(entry, `manifests[${index}]`)),
  };
}

function readCommon(
  document: Readonly<Record<string, unknown>>,
): Pick<ImageManifest, "artifactType" | "subject" | "annotations"> {
  const { artifactType, subject, annotations } = document;
  if (artifactType !== undefined && !isMediaType(artifactType)) throw bad("artifactType is not a media type");
  if (subject !== undefined && subject !== null && !isRecord(subject)) throw bad("subject is not an object");
  return {
    artifactType: artifactType ?? null,
    subject: subject ? readDescriptor(subject, "subject") : null,
    annotations: annotations === undefined ? {} : readAnnotations(annotations, "annotations"),
  };
}

function bad(what: string): RegistryError {
  return new RegistryError("BadManifest", `the manifest can't be trusted: ${what}`);
}
