import type { Descriptor } from "./descriptor.ts";
import { quoted } from "./descriptor.ts";
import { RegistryError } from "./error.ts";
import type { ImageIndex } from "./manifest.ts";
import { IMAGE_TYPES, INDEX_TYPES } from "./media-types.ts";

// BuildKit's mark of a manifest that describes another one.
const ATTESTATION_ANNOTATION = "vnd.docker.reference.type";
const WASM_SYSTEMS: readonly string[] = ["wasip1", "wasi", "js", ""];
const REMEDY = "name one by its digest";
/** Entries that a message lists. */
const SHOWN = 5;

/**
 * The one entry that an index means for us, an image or an index of images: its only one; else the only one for Wasm;
 * else, where a platform is given, the only one for that. Attestations don't count, and an entry that is there twice
 * counts once. Where that leaves a choice, nobody chooses: what a pod runs must not hang on a guess.
 * @param platform "os/architecture", such as "linux/amd64", or null
 * @param remedy what a refusal tells its reader to do where there is a choice
 * @throws {RegistryError} UnsupportedLayout
 */
export function selectManifest(index: ImageIndex, platform: string | null, remedy = REMEDY): Descriptor {
  const listed = index.manifests.filter(
    ({ mediaType }) => IMAGE_TYPES.includes(mediaType) || INDEX_TYPES.includes(mediaType),
  );
  const images = distinct(listed.filter(entry => !isAttestation(entry)));
  const wanted = platform === null ? [] : images.filter(entry => platformOf(entry) === platform);
  for (const [candidate, ...others] of [images, images.filter(isWasm), wanted]) {
    if (candidate && others.length === 0) return candidate;
  }
  if (images.length === 0) throw new RegistryError("UnsupportedLayout", "the index lists no image");
  const more = images.length > SHOWN ? `, and ${images.length - SHOWN} more` : "";
  throw new RegistryError(
    "UnsupportedLayout",
    `the index leaves a choice (${images.slice(0, SHOWN).map(describe).join(", ")}${more}); supported: one image, or one for wasm; ` +
      `else ${remedy}`,
  );
}

function distinct(entries: readonly Descriptor[]): readonly Descriptor[] {
  const unique = new Map(entries.map(entry => [`${entry.digest} ${entry.size} ${entry.mediaType}`, entry]));
  return [...unique.values()];
}

function isAttestation({ annotations, platform }: Descriptor): boolean {
  return annotations?.[ATTESTATION_ANNOTATION] !== undefined || platform?.architecture === "unknown";
}

function isWasm({ platform }: Descriptor): boolean {
  return platform?.architecture === "wasm" && WASM_SYSTEMS.includes(platform.os);
}

function platformOf({ platform }: Descriptor): string | null {
  return platform ? `${platform.os}/${platform.architecture}` : null;
}

function describe(entry: Descriptor): string {
  const platform = platformOf(entry);
  return `${platform === null ? "one without a platform" : quoted(platform)} ${entry.digest}`;
}
