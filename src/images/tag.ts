import type { RegistryClient } from "../oci/client.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { formatReference, type Reference } from "../oci/reference.ts";
import type { LayoutFolder } from "../store/layout-folder.ts";
import { ImageError } from "./error.ts";
import { storeEntry } from "./layout-images.ts";

/** Gives an image of the local store another name. @throws {StoreError} NotFound; {ImageError} WrongPlace */
export async function tagStored(
  store: LayoutFolder,
  source: Reference,
  target: Reference,
  signal: AbortSignal,
): Promise<Descriptor> {
  refuseDigest(target);
  const entry = await store.find(storeEntry(source).find);
  await store.setEntry(entry, storeEntry(target).put, signal);
  return entry;
}

/**
 * Gives an image of a repository another tag there: its manifest is written again, byte for byte, and nothing else.
 * @throws {ImageError} WrongPlace; {RegistryError}
 */
export async function tagRemote(
  client: RegistryClient,
  source: Reference,
  target: Reference,
  signal: AbortSignal,
): Promise<Descriptor> {
  refuseDigest(target);
  const { registry, repository } = source;
  if (registry !== target.registry || repository !== target.repository) {
    throw new ImageError(
      "WrongPlace",
      `${formatReference(target)} is another repository than ${registry}/${repository}; a tag stays in its own, and wasmount copy goes to others`,
    );
  }
  const wanted = source.digest ?? source.tag ?? "latest";
  const manifest = await client.manifest(registry, repository, wanted, signal);
  return client.pushManifest(registry, repository, target.tag ?? "latest", manifest, signal);
}

function refuseDigest({ digest }: Reference): void {
  if (digest !== null) throw new ImageError("WrongPlace", "a new name ends with a tag; a digest can't be chosen");
}
