import type { Descriptor } from "./descriptor.ts";
import { quoted } from "./descriptor.ts";
import { RegistryError } from "./error.ts";
import type { ImageIndex } from "./manifest.ts";
import { IMAGE_TYPES } from "./media-types.ts";

// BuildKit's mark of a manifest that describes another one.
const ATTESTATION_ANNOTATION = "vnd.docker.reference.type";
const WASM_SYSTEMS: readonly string[] = ["wasip1", "wasi", "js", ""];

/**
 * The one image that an index means for us: its only one; else the only one for Wasm; else the only one for
 * linux/amd64, which is how Docker tools label an image whose layers hold a module. Attestations don't count. Where
 * that leaves a choice, nobody chooses.
 * @throws {RegistryError} UnsupportedLayout
 */
export function selectManifest(index: ImageIndex): Descriptor {
  const images = index.manifests.filter(entry => IMAGE_TYPES.includes(entry.mediaType) && !isAttestation(entry));
  const candidates = [images, images.filter(isWasm), images.filter(isLinuxAmd64)];
  for (const [candidate, ...others] of candidates) {
    if (candidate && others.length === 0) return candidate;
  }
  const listed = images.map(describe).join(", ");
  throw new RegistryError(
    "UnsupportedLayout",
    images.length === 0
      ? "the index lists no image"
      : `the index leaves a choice (${listed}); supported: one image, one for wasm, or one for linux/amd64`,
  );
}

function isAttestation({ annotations, platform }: Descriptor): boolean {
  return annotations?.[ATTESTATION_ANNOTATION] !== undefined || platform?.architecture === "unknown";
}

function isWasm({ platform }: Descriptor): boolean {
  return platform?.architecture === "wasm" && WASM_SYSTEMS.includes(platform.os);
}

function isLinuxAmd64({ platform }: Descriptor): boolean {
  return platform?.architecture === "amd64" && platform.os === "linux";
}

function describe({ platform }: Descriptor): string {
  return platform ? quoted(`${platform.os}/${platform.architecture}`) : "one without a platform";
}
