import type { RegistryClient } from "../oci/client.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { hexOf } from "../oci/digest.ts";
import { RegistryError } from "../oci/error.ts";
import type { ModuleAddress } from "../oci/fetch-module.ts";
import type { FetchedManifest } from "../oci/manifest.ts";
import type { BlobSource } from "../oci/push.ts";
import { formatReference, type Reference } from "../oci/reference.ts";
import type { Attachment, ImageSource, ImageTarget } from "./images.ts";

/** What cosign appends to "sha256-<hex>" for what it ties to an image by a tag. */
const TAGGED_ATTACHMENTS = ["sig", "att", "sbom"] as const;

/** The images of a repository, and the one among them that a reference names. */
export class RegistryImages implements ImageSource, ImageTarget {
  readonly name: string;
  readonly digest: string | null;
  readonly #client: RegistryClient;
  readonly #reference: Reference;
  readonly #mountFrom: string | null;

  /** @param mountFrom a repository of the same registry that has the blobs which will be put here */
  constructor(client: RegistryClient, reference: Reference, mountFrom: string | null = null) {
    this.#mountFrom = mountFrom;
    this.#client = client;
    this.#reference = reference;
    this.name = formatReference(reference);
    this.digest = reference.digest;
  }

  find(signal: AbortSignal): Promise<Descriptor> {
    return this.#client.resolve(this.#reference, signal);
  }

  manifest(digest: string, signal: AbortSignal): Promise<FetchedManifest> {
    const { registry, repository } = this.#reference;
    return this.#client.manifest(registry, repository, digest, signal);
  }

  blob(descriptor: Descriptor, signal: AbortSignal): AsyncIterable<Buffer> {
    const { registry, repository } = this.#reference;
    return this.#client.blob(registry, repository, descriptor, signal);
  }

  async attachments(digest: string, signal: AbortSignal): Promise<readonly Attachment[]> {
    const { registry, repository } = this.#reference;
    const found: Attachment[] = [];
    for (const kind of TAGGED_ATTACHMENTS) {
      const tag = `sha256-${hexOf(digest)}.${kind}`;
      const descriptor = await this.#tagged(tag, signal);
      if (descriptor !== null) found.push({ descriptor, tag });
    }
    const referrers = await this.#client.referrers(registry, repository, digest, null, signal);
    return [...found, ...referrers.map(descriptor => ({ descriptor, tag: null }))];
  }

  address(digest: string): ModuleAddress {
    const { registry, repository } = this.#reference;
    return { registry, repository, digest };
  }

  putBlob(blob: BlobSource, signal: AbortSignal): Promise<void> {
    const { registry, repository } = this.#reference;
    return this.#client.pushBlob(registry, repository, blob, signal, this.#mountFrom);
  }

  async putManifest(manifest: FetchedManifest, tag: string | null, signal: AbortSignal): Promise<void> {
    const { registry, repository } = this.#reference;
    await this.#client.pushManifest(registry, repository, tag ?? manifest.digest, manifest, signal);
  }

  putImage(manifest: FetchedManifest, _annotations: unknown, signal: AbortSignal): Promise<void> {
    return this.putManifest(manifest, this.#reference.tag ?? (this.digest === null ? "latest" : null), signal);
  }

  async #tagged(tag: string, signal: AbortSignal): Promise<Descriptor | null> {
    try {
      return await this.#client.resolve({ ...this.#reference, tag, digest: null }, signal);
    } catch (error) {
      if (error instanceof RegistryError && error.code === "NotFound") return null;
      throw error;
    }
  }
}
