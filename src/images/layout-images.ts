import { basename, dirname } from "node:path";
import type { Descriptor } from "../oci/descriptor.ts";
import { isDigest } from "../oci/digest.ts";
import type { ModuleAddress } from "../oci/fetch-module.ts";
import type { FetchedManifest } from "../oci/manifest.ts";
import type { BlobSource } from "../oci/push.ts";
import { formatReference, type Reference } from "../oci/reference.ts";
import { descriptorOf, type LayoutFolder, MAX_SEARCHED } from "../store/layout-folder.ts";
import { nameOf, tyingTagOf } from "../store/layout-index.ts";
import type { Attachment, ImageSource, ImageTarget } from "./images.ts";

export interface LayoutEntry {
  /** How messages call the image. */
  readonly name: string;
  /** Its name in index.json, or its digest; null is the only one. */
  readonly find: string | null;
  /** The name that it gets in index.json; null lists it without one. */
  readonly put: string | null;
  /** The reference that it is stored under, where the layout is the local store. */
  readonly reference: Reference | null;
}

/** The entry of a layout folder or archive that a name stands for. */
export function layoutEntry(path: string, name: string | null): LayoutEntry {
  return {
    name: name === null ? path : `${path}:${name}`,
    find: name,
    put: isDigest(name) ? null : name,
    reference: null,
  };
}

/** The entry of the local store that a reference stands for. The store names its images by their whole references. */
export function storeEntry(reference: Reference): LayoutEntry {
  const { digest } = reference;
  const tag = reference.tag ?? (digest === null ? "latest" : null);
  const put = formatReference({ ...reference, tag, digest: tag === null ? digest : null });
  return { name: formatReference(reference), find: digest ?? put, put, reference };
}

/** The images of a layout, and the one among them that an entry stands for. */
export class LayoutImages implements ImageSource, ImageTarget {
  readonly name: string;
  readonly digest: string | null;
  readonly #folder: LayoutFolder;
  readonly #entry: LayoutEntry;

  constructor(folder: LayoutFolder, entry: LayoutEntry) {
    this.name = entry.name;
    this.digest = isDigest(entry.find) ? entry.find : null;
    this.#folder = folder;
    this.#entry = entry;
  }

  find(): Promise<Descriptor> {
    return this.#folder.find(this.#entry.find);
  }

  manifest(digest: string): Promise<FetchedManifest> {
    return this.#folder.manifest(digest);
  }

  blob(descriptor: Descriptor): AsyncIterable<Buffer> {
    return this.#folder.blob(descriptor);
  }

  /** What is attached by a tag has one here, too; what is attached by its manifest is found by reading them. */
  async attachments(digest: string): Promise<readonly Attachment[]> {
    const found: Attachment[] = [];
    for (const entry of (await this.#folder.index()).slice(0, MAX_SEARCHED)) {
      const { mediaType, size } = entry;
      const descriptor = { mediaType, digest: entry.digest, size };
      const tying = tyingTagOf(entry);
      if (tying?.digest === digest) found.push({ descriptor, tag: tying.tag });
      else if (nameOf(entry) === null) found.push(...(await this.#attachedTo(digest, descriptor)));
    }
    return found;
  }

  address(digest: string): ModuleAddress {
    const { reference } = this.#entry;
    if (reference !== null) return { registry: reference.registry, repository: reference.repository, digest };
    const { name } = this.#folder;
    return { registry: `oci:${dirname(name)}`, repository: basename(name), digest };
  }

  putBlob(blob: BlobSource): Promise<void> {
    return this.#folder.putBlob(blob);
  }

  async putManifest(manifest: FetchedManifest, tag: string | null, signal: AbortSignal): Promise<void> {
    await this.#folder.putManifest(manifest.bytes);
    // Children of an index are found through it. What is attached is found through index.json alone.
    if (tag !== null || manifest.manifest.subject !== null)
      await this.#folder.setEntry(describe(manifest), tag === null ? null : this.#sibling(tag), signal);
  }

  async putImage(
    manifest: FetchedManifest,
    annotations: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#folder.putManifest(manifest.bytes);
    await this.#folder.setEntry({ ...describe(manifest), annotations }, this.#entry.put, signal);
  }

  /** The name of another tag beside this image's. */
  #sibling(tag: string): string {
    const { reference } = this.#entry;
    return reference === null ? tag : formatReference({ ...reference, tag, digest: null });
  }

  /** The descriptor, by what its manifest says of itself, where that says that it is attached to the digest. */
  async #attachedTo(digest: string, descriptor: Descriptor): Promise<readonly Attachment[]> {
    try {
      const { manifest } = await this.#folder.manifest(descriptor.digest);
      if (manifest.subject?.digest !== digest) return [];
      // distribution-spec, "Listing Referrers": an image without artifactType is one of its config's media type.
      const artifactType = manifest.artifactType ?? (manifest.kind === "image" ? manifest.config.mediaType : null);
      return [{ descriptor: artifactType === null ? descriptor : { ...descriptor, artifactType }, tag: null }];
    } catch {
      // A damaged neighbour is none of this image's business.
      return [];
    }
  }
}

function describe(manifest: FetchedManifest): Descriptor {
  const { artifactType } = manifest.manifest;
  return { ...descriptorOf(manifest), ...(artifactType === null ? {} : { artifactType }) };
}
