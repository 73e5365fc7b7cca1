import type { Descriptor } from "../oci/descriptor.ts";
import { RegistryError } from "../oci/error.ts";
import type { FetchedManifest, ImageManifest } from "../oci/manifest.ts";
import type { BlobSource } from "../oci/push.ts";
import { ImageError } from "./error.ts";
import type { ImageSource, ImageTarget, TransferWatcher } from "./images.ts";

export interface CopyOptions {
  /** Signatures and whatever else is attached go along. */
  readonly referrers: boolean;
  /** Of the entry in a layout's index; registries have no place for them. */
  readonly annotations?: Readonly<Record<string, string>>;
  readonly watcher: TransferWatcher;
  readonly signal: AbortSignal;
}

export interface Copied {
  readonly descriptor: Descriptor;
  /** Manifests and indexes, the attached ones included. */
  readonly manifests: number;
  readonly attachments: number;
  /** Blobs, and their bytes. */
  readonly blobs: number;
  readonly bytes: number;
}

/** An index in an index, and an image in that. */
const MAX_DEPTH = 3;
/** A signature may be signed, and that one again. */
const MAX_ATTACHMENT_DEPTH = 3;
const MAX_MANIFESTS = 512;

/**
 * Copies what a source names: an image, or an index with all that it lists. Blobs come before the manifests that name
 * them and the name comes last, so that at no moment the target names something that isn't there whole. Blobs are
 * streamed and hashed on their way.
 * @throws {ImageError} TooMany; {RegistryError}, {StoreError}
 */
export async function copyImage(source: ImageSource, target: ImageTarget, options: CopyOptions): Promise<Copied> {
  return new Copying(source, target, options).run();
}

class Copying {
  readonly #source: ImageSource;
  readonly #target: ImageTarget;
  readonly #options: CopyOptions;
  readonly #manifests = new Set<string>();
  readonly #blobs = new Set<string>();
  #attachments = 0;
  #bytes = 0;

  constructor(source: ImageSource, target: ImageTarget, options: CopyOptions) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
  }

  async run(): Promise<Copied> {
    const { signal, annotations = {} } = this.#options;
    const { digest } = await this.#source.find(signal);
    if (this.#target.digest !== null && this.#target.digest !== digest) {
      throw new RegistryError(
        "DigestMismatch",
        `${this.#source.name} is ${digest}, and ${this.#target.name} names another`,
      );
    }
    const top = await this.#source.manifest(digest, signal);
    await this.#content(top, 0);
    await this.#target.putImage(top, annotations, signal);
    return {
      descriptor: { mediaType: top.mediaType, digest, size: top.bytes.length },
      manifests: this.#manifests.size,
      attachments: this.#attachments,
      blobs: this.#blobs.size,
      bytes: this.#bytes,
    };
  }

  /** Copies all that a manifest refers to, and all that is attached to it. */
  async #content(fetched: FetchedManifest, depth: number, attachmentDepth = 0): Promise<void> {
    this.#count(fetched.digest, depth);
    const { manifest } = fetched;
    if (manifest.kind === "index") {
      for (const child of manifest.manifests) await this.#child(child, depth + 1, attachmentDepth);
    } else await this.#blobsOf(manifest);
    if (this.#options.referrers) await this.#attached(fetched.digest, attachmentDepth);
  }

  async #child(descriptor: Descriptor, depth: number, attachmentDepth: number): Promise<void> {
    if (this.#manifests.has(descriptor.digest)) return;
    const { signal } = this.#options;
    const child = await this.#source.manifest(descriptor.digest, signal);
    if (child.bytes.length !== descriptor.size) {
      throw new RegistryError(
        "SizeMismatch",
        `${child.digest} has ${child.bytes.length} bytes, its index says ${descriptor.size}`,
      );
    }
    await this.#content(child, depth, attachmentDepth);
    await this.#target.putManifest(child, null, signal);
  }

  async #blobsOf({ config, layers }: ImageManifest): Promise<void> {
    const { signal, watcher } = this.#options;
    for (const descriptor of [config, ...layers]) {
      if (this.#blobs.has(descriptor.digest)) continue;
      this.#blobs.add(descriptor.digest);
      this.#bytes += descriptor.size;
      const open = () => this.#source.blob(descriptor, signal);
      await this.#target.putBlob(watched({ ...descriptor, open }, watcher), signal);
    }
  }

  async #attached(digest: string, depth: number): Promise<void> {
    if (depth === MAX_ATTACHMENT_DEPTH) return;
    const { signal } = this.#options;
    for (const { descriptor, tag } of await this.#source.attachments(digest, signal)) {
      if (this.#manifests.has(descriptor.digest)) continue;
      const attachment = await this.#source.manifest(descriptor.digest, signal);
      // A list of referrers is a claim. What does not itself say so is not attached.
      if (tag === null && attachment.manifest.subject?.digest !== digest) continue;
      await this.#content(attachment, 0, depth + 1);
      await this.#target.putManifest(attachment, tag, signal);
      this.#attachments += 1;
    }
  }

  #count(digest: string, depth: number): void {
    if (depth > MAX_DEPTH)
      throw new ImageError("TooMany", `${this.#source.name} has indexes nested more than ${MAX_DEPTH} deep`);
    if (this.#manifests.size >= MAX_MANIFESTS)
      throw new ImageError("TooMany", `${this.#source.name} has more than ${MAX_MANIFESTS} manifests`);
    this.#manifests.add(digest);
  }
}

/** A blob whose bytes are seen on their way. One that the target has already is not opened, and finished at once. */
export function watched(blob: BlobSource, watcher: TransferWatcher): BlobSource {
  return {
    digest: blob.digest,
    size: blob.size,
    async *open() {
      watcher.started(blob);
      for await (const chunk of blob.open()) {
        yield chunk;
        watcher.moved(chunk.length);
      }
      watcher.finished(blob);
    },
  };
}
