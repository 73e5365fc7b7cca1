import type { RegistryClient } from "./client.ts";
import type { Descriptor } from "./descriptor.ts";
import type { ModuleImage } from "./module-image.ts";
import type { Reference } from "./reference.ts";

/**
 * Pushes an image: what the repository lacks of its blobs, then the manifest under the reference's tag, or under its
 * own digest where the reference has none.
 * @returns the manifest's descriptor
 * @throws {RegistryError}
 */
export async function pushModule(
  client: Pick<RegistryClient, "pushBlob" | "pushManifest">,
  { registry, repository, tag }: Reference,
  image: ModuleImage,
  signal?: AbortSignal,
): Promise<Descriptor> {
  for (const blob of image.blobs) await client.pushBlob(registry, repository, blob, signal);
  return client.pushManifest(registry, repository, tag ?? image.manifest.digest, image.manifest, signal);
}
