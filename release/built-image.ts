import { buffer } from "node:stream/consumers";
import { extract } from "tar-stream";
import { decompressed } from "../src/oci/decompression.ts";
import { isRecord } from "../src/oci/descriptor.ts";
import { FETCH_LIMITS } from "../src/oci/limits.ts";
import type { FetchedManifest, ImageManifest } from "../src/oci/manifest.ts";
import { LayoutFolder } from "../src/store/layout-folder.ts";
import { ReleaseError } from "./error.ts";
import type { Platform } from "./platform.ts";

/** A file that a builder put into an image beside those of its base. */
export interface OwnFile {
  /** "app/wasmount.mjs" */
  readonly path: string;
  readonly bytes: Buffer;
}

/** What a builder made of the Dockerfile, taken apart. */
export interface BuiltImage {
  /** Layers of the base, the lowest first: plain tars. */
  readonly base: readonly Buffer[];
  /** All else, sorted by path. */
  readonly files: readonly OwnFile[];
  /** How containers of it start: `config` of image-spec, config.md. */
  readonly config: Readonly<Record<string, unknown>>;
}

export const NODE = "usr/local/bin/node";
const OWN = /^(?:usr\/local\/bin\/node|app\/[^/]+|licenses\/[^/]+)$/;
const MAX_LAYER = 1024 * 1024 * 1024;

/**
 * Takes an image apart into its base and what the Dockerfile put on it, however many layers the builder made of that.
 * @throws {ReleaseError} BadImage
 */
export async function readBuiltImage(layout: string, platform: Platform): Promise<BuiltImage> {
  const folder = await LayoutFolder.open(layout);
  const manifest = await imageIn(folder);
  const config: unknown = JSON.parse((await collected(folder.blob(manifest.config))).toString());
  if (!isRecord(config) || config["architecture"] !== platform.architecture || !isRecord(config["config"]))
    throw new ReleaseError("BadImage", `the builder made no image for linux/${platform.architecture}`);
  const layers: Buffer[] = [];
  for (const layer of manifest.layers) layers.push(await plainTar(folder, layer));
  const files = new Map<string, Buffer>();
  let base = layers.length;
  // The uppermost layers are ours, as far as nothing else is in them. What a lower one holds was replaced by an upper one.
  for (; base > 0; base -= 1) {
    const own = await ownFiles(layers[base - 1] as Buffer);
    if (own === null) break;
    for (const { path, bytes } of own) if (!files.has(path)) files.set(path, bytes);
  }
  const sorted = [...files]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([path, bytes]) => ({ path, bytes }));
  const node = files.get(NODE);
  if (node === undefined || !files.has("app/wasmount.mjs"))
    throw new ReleaseError("BadImage", "on top of its base the image holds other files than Node and wasmount");
  // A base of one platform would serve for another one silently: nothing in the image is run when it is built.
  if (node.readUInt32BE(0) !== 0x7f454c46 || node.readUInt16LE(18) !== platform.machine)
    throw new ReleaseError("BadImage", `the image's node is no program for linux/${platform.architecture}`);
  return { base: layers.slice(0, base), files: sorted, config: config["config"] };
}

async function imageIn(folder: LayoutFolder): Promise<ImageManifest> {
  let found: FetchedManifest = await folder.manifest((await folder.find(null)).digest);
  if (found.manifest.kind === "index" && found.manifest.manifests.length === 1)
    found = await folder.manifest(found.manifest.manifests[0]?.digest ?? "");
  if (found.manifest.kind === "image") return found.manifest;
  throw new ReleaseError("BadImage", `the builder left something else than one image in ${folder.path}`);
}

async function plainTar(folder: LayoutFolder, layer: ImageManifest["layers"][number]): Promise<Buffer> {
  const [, compression] = /\+(gzip|zstd)$/.exec(layer.mediaType) ?? [];
  const blob = folder.blob(layer);
  return collected(
    compression ? decompressed(blob, compression as "gzip" | "zstd", MAX_LAYER, FETCH_LIMITS.unpackRatio) : blob,
  );
}

/** The files of a layer; null where one of them is not of ours. */
async function ownFiles(tar: Buffer): Promise<readonly OwnFile[] | null> {
  const found: OwnFile[] = [];
  const reader = extract();
  reader.end(tar);
  for await (const entry of reader) {
    const path = entry.header.name.replace(/^\.?\//, "");
    const bytes = await buffer(entry);
    if (entry.header.type === "directory") continue;
    if (entry.header.type !== "file" || !OWN.test(path)) return null;
    found.push({ path, bytes });
  }
  return found;
}

async function collected(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}
