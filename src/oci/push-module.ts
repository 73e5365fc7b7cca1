import type { RegistryClient } from "./client.ts";
import type { Descriptor } from "./descriptor.ts";
import { RegistryError } from "./error.ts";
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
  { registry, repository, tag, digest }: Reference,
  image: ModuleImage,
  signal?: AbortSignal,
): Promise<Descriptor> {
  if (digest !== null && digest !== image.manifest.digest) {
    throw new RegistryError("DigestMismatch", `the image's digest is ${image.manifest.digest}, not ${digest}`);
  }
  for (const blob of image.blobs) await client.pushBlob(registry, repository, blob, signal);
  return client.pushManifest(registry, repository, tag ?? image.manifest.digest, image.manifest, signal);
}
