import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import { constants, gzip, zstdCompress } from "node:zlib";
import { pack } from "tar-stream";
import type { Descriptor } from "../src/oci/descriptor.ts";
import { digestOf } from "../src/oci/digest.ts";
import { OCI_CONFIG, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, OCI_MANIFEST } from "../src/oci/media-types.ts";
import { type BuiltImage, NODE, type OwnFile } from "./built-image.ts";
import type { Platform } from "./platform.ts";

export interface Packing {
  readonly compression: "zstd" | "gzip";
  /** Of the compression's own scale. */
  readonly level: number;
  /** ISO 8601, in UTC. */
  readonly created: string;
  /** What stands in the history of the base's layers, Node's and wasmount's. */
  readonly history: { readonly base: string; readonly node: string; readonly wasmount: string };
  /** Of the manifest. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** An image of one platform: all its bytes, the manifest apart. */
export interface PackedImage {
  readonly manifest: { readonly descriptor: Descriptor; readonly bytes: Buffer };
  readonly blobs: readonly Buffer[];
}

/**
 * Packs a built image so that its bytes are of its content alone, and not of the builder: Node has a layer of its own,
 * the same in every release with the same Node, so that nodes which run one release fetch little for the next.
 */
export async function packImage(built: BuiltImage, platform: Platform, packing: Packing): Promise<PackedImage> {
  const own = [built.files.filter(({ path }) => path === NODE), built.files.filter(({ path }) => path !== NODE)];
  const tars = [...built.base, ...(await Promise.all(own.map(tarOf)))];
  const layers = await Promise.all(tars.map(tar => compressed(tar, packing)));
  const { created, history } = packing;
  const config = json({
    created,
    architecture: platform.architecture,
    os: "linux",
    config: runConfig(built.config),
    rootfs: { type: "layers", diff_ids: tars.map(digestOf) },
    history: [...built.base.map(() => history.base), history.node, history.wasmount].map(text => ({
      created,
      created_by: text,
    })),
  });
  const mediaType = packing.compression === "zstd" ? OCI_LAYER_ZSTD : OCI_LAYER_GZIP;
  const bytes = json({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: describe(config, OCI_CONFIG),
    layers: layers.map(layer => describe(layer, mediaType)),
    annotations: packing.annotations,
  });
  return { manifest: { descriptor: describe(bytes, OCI_MANIFEST), bytes }, blobs: [config, ...layers] };
}

/** What the Dockerfile says, without what builders add of themselves. */
function runConfig(config: BuiltImage["config"]): object {
  const { User, Env, Entrypoint, WorkingDir, Labels } = config;
  const labels = Object.entries((Labels ?? {}) as Readonly<Record<string, string>>)
    .filter(([name]) => !name.startsWith("io.buildah."))
    .sort(([left], [right]) => (left < right ? -1 : 1));
  return { User, Env, Entrypoint, WorkingDir, Labels: Object.fromEntries(labels) };
}

/** Root's files, which everybody may read, dated 1970; in it the folders on the way to them. */
async function tarOf(files: readonly OwnFile[]): Promise<Buffer> {
  const tar = pack();
  const flat = { uid: 0, gid: 0, uname: "", gname: "", mtime: new Date(0) };
  const made = new Set<string>();
  for (const { path, bytes } of files) {
    const segments = path.split("/").slice(0, -1);
    for (const at of segments.keys()) {
      const folder = segments.slice(0, at + 1).join("/");
      if (!made.has(folder)) tar.entry({ ...flat, name: folder, type: "directory", mode: 0o755 });
      made.add(folder);
    }
    tar.entry({ ...flat, name: path, mode: path === NODE ? 0o755 : 0o644, size: bytes.length }, bytes);
  }
  tar.finalize();
  return buffer(tar);
}

function compressed(tar: Buffer, { compression, level }: Packing): Promise<Buffer> {
  if (compression === "gzip") return promisify(gzip)(tar, { level }) as Promise<Buffer>;
  const params = {
    [constants.ZSTD_c_compressionLevel]: level,
    [constants.ZSTD_c_checksumFlag]: 1,
    // What every reader of layers has memory for, our own included (src/oci/decompression.ts).
    [constants.ZSTD_c_windowLog]: 23,
  };
  return promisify(zstdCompress)(tar, { params, pledgedSrcSize: tar.length }) as Promise<Buffer>;
}

export function describe(bytes: Buffer, mediaType: string): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

export function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}
