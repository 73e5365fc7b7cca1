import { pathToFileURL } from "node:url";
import type { ModuleSource } from "../../src/oci/client.ts";
import { verifying } from "../../src/oci/digest.ts";
import { fetchModule } from "../../src/oci/fetch-module.ts";
import { DEFAULT_LIMITS } from "../../src/oci/limits.ts";
import { readManifest } from "../../src/oci/manifest.ts";
import { moduleImage, type WrittenLayout } from "../../src/oci/module-image.ts";
import { peakMemory } from "../environment/peak-memory.ts";

/** Makes an image of a module's file, fetches it from where it was made, and says how large this process became. */
async function main(path: string, layout: WrittenLayout): Promise<void> {
  const image = await moduleImage({ module: path, name: "large", layout });
  const { digest, bytes, mediaType } = image.manifest;
  const source: ModuleSource = {
    limits: { ...DEFAULT_LIMITS, moduleBytes: 1024 * 1024 * 1024, manifestBytes: 1024 * 1024 },
    manifest: async () => readManifest(bytes, mediaType, digest),
    blob: (_registry, _repository, descriptor) => {
      const blob = image.blobs.find(one => one.digest === descriptor.digest);
      return verifying(blob?.open() as AsyncIterable<Buffer>, descriptor);
    },
  };
  const address = { registry: "reg.example", repository: "large", digest };
  const { moduleSize, moduleSha256 } = await fetchModule(source, address, { write: async () => {} });
  const peakBytes = peakMemory();
  process.stdout.write(JSON.stringify({ moduleSize, moduleSha256, peakBytes }));
}

const [, script = "", path = "", layout = ""] = process.argv;
if (import.meta.url === pathToFileURL(script).href) await main(path, layout as WrittenLayout);
