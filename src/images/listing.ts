import type { Descriptor } from "../oci/descriptor.ts";
import { RegistryError } from "../oci/error.ts";
import { selectManifest } from "../oci/index-selection.ts";
import type { ImageManifest } from "../oci/manifest.ts";
import { CREATED_ANNOTATION } from "../oci/media-types.ts";
import { parseReference } from "../oci/reference.ts";
import type { LayoutFolder } from "../store/layout-folder.ts";
import { nameOf } from "../store/layout-index.ts";

/** Our own mark in a layout's index: the Proxy-Wasm ABI of the image's module. */
export const ABI_ANNOTATION = "wasmount.dev/abi";

/** One image of the local store. */
export interface ListedImage {
  /** "registry.example/team/filter". */
  readonly name: string;
  /** null where the image was pulled by its digest. */
  readonly tag: string | null;
  readonly digest: string;
  /** In bytes, of all its blobs; null where the image can't be read, and of an index that leaves a choice. */
  readonly size: number | null;
  /** Whether the image can't be read. */
  readonly damaged: boolean;
  readonly abi: string | null;
  /** RFC 3339, where the image says so. */
  readonly created: string | null;
}

/**
 * The images of the local store, sorted by name and tag. An image that can't be read is listed with what its entry says.
 * @throws {StoreError}
 */
export async function listImages(store: LayoutFolder): Promise<readonly ListedImage[]> {
  const images: ListedImage[] = [];
  for (const entry of await store.index()) images.push(await listed(store, entry));
  return images.sort((a, b) => compare(`${a.name}:${a.tag ?? ""}`, `${b.name}:${b.tag ?? ""}`));
}

async function listed(store: LayoutFolder, entry: Descriptor): Promise<ListedImage> {
  const { manifest, damaged } = await imageOf(store, entry);
  const blobs = manifest === null ? [] : [manifest.config, ...manifest.layers];
  return {
    ...nameAndTag(entry),
    digest: entry.digest,
    size: manifest === null ? null : blobs.reduce((sum, { size }) => sum + size, 0),
    damaged,
    abi: entry.annotations?.[ABI_ANNOTATION] ?? null,
    created: manifest?.annotations[CREATED_ANNOTATION] ?? null,
  };
}

function nameAndTag(entry: Descriptor): Pick<ListedImage, "name" | "tag"> {
  const name = nameOf(entry);
  if (name === null) return { name: "<none>", tag: null };
  try {
    const { registry, repository, tag } = parseReference(name);
    return { name: `${registry}/${repository}`, tag };
  } catch {
    // Another tool's layout may hold names that are no references.
    return { name, tag: null };
  }
}

/** The one image of an entry, or null where it can't be read or isn't the only one. */
async function imageOf(
  store: LayoutFolder,
  entry: Descriptor,
): Promise<{ readonly manifest: ImageManifest | null; readonly damaged: boolean }> {
  try {
    let { manifest } = await store.manifest(entry.digest);
    if (manifest.kind === "index") ({ manifest } = await store.manifest(selectManifest(manifest, null).digest));
    return { manifest: manifest.kind === "image" ? manifest : null, damaged: false };
  } catch (error) {
    const isChoice = error instanceof RegistryError && error.code === "UnsupportedLayout";
    return { manifest: null, damaged: !isChoice };
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
