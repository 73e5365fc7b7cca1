import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { digestOf } from "./digest.ts";
import {
  CNCF_CONFIG,
  CNCF_WASM,
  CREATED_ANNOTATION,
  OCI_CONFIG,
  OCI_LAYER_GZIP,
  OCI_MANIFEST,
  ROOT_IDS_ANNOTATION,
  SOLO_CONFIG,
  SOLO_WASM,
  TITLE_ANNOTATION,
} from "./media-types.ts";
import { type BlobSource, blobOf } from "./push.ts";

/** The layouts that images are written in. */
export type WrittenLayout = "cncf" | "compat" | "solo-oci";

export interface ModuleImageOptions {
  /** The module's bytes, or the path of its file. */
  readonly module: Buffer | string;
  /** What the file is called after `oras pull`: a base name without ".wasm". */
  readonly name: string;
  readonly layout: WrittenLayout;
  readonly rootIds?: readonly string[];
  /** Annotations of the manifest. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** RFC 3339. Left out, the image says nothing of time, and the same module gives the same digest. */
  readonly created?: string;
}

/** An image ready to be pushed: blobs first, then the manifest. */
export interface ModuleImage {
  readonly layout: WrittenLayout;
  readonly manifest: { readonly bytes: Buffer; readonly mediaType: string; readonly digest: string };
  readonly blobs: readonly BlobSource[];
}

interface Part {
  readonly mediaType: string;
  readonly blob: BlobSource;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface Parts {
  readonly config: Part;
  readonly layers: readonly Part[];
}

/**
 * Makes an image of a module. Deterministic: the same options give the same digest on every machine. A module given as
 * a path is streamed, except for "compat", whose archive is made in memory.
 */
export async function moduleImage(options: ModuleImageOptions): Promise<ModuleImage> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(options.name)) {
    throw new TypeError(`${JSON.stringify(options.name)} is no file name: letters, digits, ".", "_" and "-"`);
  }
  const { config, layers } = await PARTS[options.layout](options);
  const annotations = {
    ...(options.rootIds && options.layout === "cncf" ? { [ROOT_IDS_ANNOTATION]: JSON.stringify(options.rootIds) } : {}),
    ...(options.layout === "compat" ? { "module.wasm.image/variant": "compat" } : {}),
    ...(options.created ? { [CREATED_ANNOTATION]: options.created } : {}),
    ...options.annotations,
  };
  const bytes = json({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: describe(config),
    layers: layers.map(describe),
    ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
  });
  const blobs = new Map([config, ...layers].map(({ blob }) => [blob.digest, blob]));
  return {
    layout: options.layout,
    manifest: { bytes, mediaType: OCI_MANIFEST, digest: digestOf(bytes) },
    blobs: [...blobs.values()],
  };
}

const PARTS: Readonly<Record<WrittenLayout, (options: ModuleImageOptions) => Promise<Parts>>> = {
  cncf: async ({ module, name, created }) => {
    const blob = await moduleBlob(module);
    const config = {
      ...(created ? { created } : {}),
      architecture: "wasm",
      os: "wasip1",
      layerDigests: [blob.digest],
    };
    return {
      config: { mediaType: CNCF_CONFIG, blob: blobOf(json(config)) },
      layers: [{ mediaType: CNCF_WASM, blob, annotations: { [TITLE_ANNOTATION]: `${name}.wasm` } }],
    };
  },

  "solo-oci": async ({ module, name, rootIds }) => {
    // wasme has the runtime config twice, as config and as first layer; readers look for it in either place.
    const config = { mediaType: SOLO_CONFIG, blob: blobOf(runtimeConfig(rootIds)) };
    return {
      config,
      layers: [
        { ...config, annotations: { [TITLE_ANNOTATION]: "runtime-config.json" } },
        {
          mediaType: SOLO_WASM,
          blob: await moduleBlob(module),
          annotations: { [TITLE_ANNOTATION]: `${name}.wasm` },
        },
      ],
    };
  },

  compat: async ({ module, name, rootIds, created }) => {
    const bytes = typeof module === "string" ? await readFile(module) : module;
    const archive = pack();
    const flat = { mode: 0o644, mtime: new Date(0), uid: 0, gid: 0 };
    archive.entry({ ...flat, name: "plugin.wasm" }, bytes);
    if (rootIds) archive.entry({ ...flat, name: "runtime-config.json" }, runtimeConfig(rootIds));
    archive.finalize();
    const tar = await buffer(archive);
    const gzip = gzipSync(tar, { level: 9 });
    // RFC 1952: the operating system, "unknown", for the same bytes everywhere.
    gzip[9] = 255;
    const config = {
      ...(created ? { created } : {}),
      architecture: "amd64",
      os: "linux",
      config: {},
      rootfs: { type: "layers", diff_ids: [digestOf(tar)] },
    };
    return {
      config: { mediaType: OCI_CONFIG, blob: blobOf(json(config)) },
      layers: [
        {
          mediaType: OCI_LAYER_GZIP,
          blob: blobOf(gzip),
          annotations: { [TITLE_ANNOTATION]: `${name}.tar.gz` },
        },
      ],
    };
  },
};

async function moduleBlob(module: Buffer | string): Promise<BlobSource> {
  if (typeof module !== "string") return blobOf(module);
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of createReadStream(module)) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { digest: `sha256:${hash.digest("hex")}`, size, open: () => createReadStream(module) };
}

function runtimeConfig(rootIds: readonly string[] = []): Buffer {
  return json({ type: "envoy_proxy", abiVersions: [], config: { rootIds } });
}

function describe({ mediaType, blob, annotations }: Part): object {
  return { mediaType, digest: blob.digest, size: blob.size, ...(annotations ? { annotations } : {}) };
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
