import type { Descriptor } from "../oci/descriptor.ts";
import type { ModuleAddress } from "../oci/fetch-module.ts";
import type { FetchedManifest } from "../oci/manifest.ts";
import type { BlobSource } from "../oci/push.ts";

/** Something that says something about an image: a signature, an attestation, a list of materials. */
export interface Attachment {
  readonly descriptor: Descriptor;
  /** The tag that ties it to the image, as cosign's older form has it; null where its manifest does. */
  readonly tag: string | null;
}

/** Images that can be read, of one repository or layout. Everything read is held to its digest. */
export interface ImageSource {
  /** How messages call the image that the place names. */
  readonly name: string;
  /** The manifest or index that the place names. */
  find(signal: AbortSignal): Promise<Descriptor>;
  manifest(digest: string, signal: AbortSignal): Promise<FetchedManifest>;
  blob(descriptor: Descriptor, signal: AbortSignal): AsyncIterable<Buffer>;
  attachments(digest: string, signal: AbortSignal): Promise<readonly Attachment[]>;
  /** The address that `fetchModule` is to be asked for, with this source behind it. */
  address(digest: string): ModuleAddress;
}

/** Where images go: blobs first, then the manifests that name them, at last the name. */
export interface ImageTarget {
  /** How messages call the image there. */
  readonly name: string;
  /** The digest that what is written must have, where the place says so. */
  readonly digest: string | null;
  putBlob(blob: BlobSource, signal: AbortSignal): Promise<void>;
  /** A manifest below the one that was asked for, or one that is attached to it. */
  putManifest(manifest: FetchedManifest, tag: string | null, signal: AbortSignal): Promise<void>;
  /** The manifest that was asked for. From here on the place names it. */
  putImage(
    manifest: FetchedManifest,
    annotations: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<void>;
}

/** Sees bytes on their way. */
export interface TransferWatcher {
  started(descriptor: Pick<Descriptor, "digest" | "size">): void;
  moved(bytes: number): void;
  finished(descriptor: Pick<Descriptor, "digest" | "size">): void;
}
