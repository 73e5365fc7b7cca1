import type { Descriptor } from "../../src/oci/descriptor.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { type ImageManifest, readManifest } from "../../src/oci/manifest.ts";
import { OCI_CONFIG, OCI_MANIFEST } from "../../src/oci/media-types.ts";

/** The smallest core module. */
export const MODULE = Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
export const COMPONENT = Buffer.from([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]);

export function descriptorOf(bytes: Buffer, mediaType: string, title?: string): Descriptor {
  const annotations = title === undefined ? {} : { annotations: { "org.opencontainers.image.title": title } };
  return { mediaType, digest: digestOf(bytes), size: bytes.length, ...annotations };
}

/** A manifest's bytes, with what a test wants changed. */
export function manifestBytes(change: Readonly<Record<string, unknown>> = {}): Buffer {
  const config = descriptorOf(Buffer.from("{}"), OCI_CONFIG);
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [], ...change }));
}

/** An image of these layers; the config's media type, where it matters. */
export function imageOf(layers: readonly Descriptor[], change: Readonly<Record<string, unknown>> = {}): ImageManifest {
  const { manifest } = readManifest(manifestBytes({ layers, ...change }), null, null);
  if (manifest.kind !== "image") throw new Error("the test wants an image");
  return manifest;
}
