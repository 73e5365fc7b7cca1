import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { compatLayer } from "./compat-layer.ts";
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
import { writeRuntimeConfig } from "./runtime-config.ts";

/** The layouts that images are written in. */
export type WrittenLayout = "cncf" | "compat" | "solo-oci";

export interface ModuleImageOptions {
  /** The module's bytes, or the path of its file. */
  readonly module: Buffer | string;
  /** What the file is called after `oras pull`: a base name without ".wasm". */
  readonly name: string;
  readonly layout: WrittenLayout;
  readonly rootIds?: readonly string[];
  /** Labels of the ABIs that the module is for, such as "v0.2.1": wasme and its kin compare them. "cncf" has no place for them. */
  readonly abiVersions?: readonly string[];
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
  /** Of the manifest. */
  readonly annotations: Readonly<Record<string, string>>;
}

const RUNTIME_TYPE = "envoy_proxy";

/**
 * Makes an image of a module. Deterministic: the same options give the same digest (for "compat", where the release of
 * Node is the same: it compresses). A module given as a path is streamed, once to be hashed and once to be sent.
 */
export async function moduleImage(options: ModuleImageOptions): Promise<ModuleImage> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(options.name)) {
    throw new TypeError(`${JSON.stringify(options.name)} is no file name: letters, digits, ".", "_" and "-"`);
  }
  const { config, layers, annotations: own } = await PARTS[options.layout](options);
  const annotations = {
    ...own,
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
  cncf: async ({ module, name, rootIds, created }) => {
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
      annotations: rootIds ? { [ROOT_IDS_ANNOTATION]: JSON.stringify(rootIds) } : {},
    };
  },

  "solo-oci": async options => {
    const { module, name, abiVersions } = options;
    // wasme has the runtime config twice, as config and as first layer; readers look for it in either place.
    const config = { mediaType: SOLO_CONFIG, blob: blobOf(runtimeConfig(options)) };
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
      annotations: {
        ...(abiVersions && { "module.wasm.runtime/abi_version": abiVersions.join(",") }),
        "module.wasm.runtime/type": RUNTIME_TYPE,
      },
    };
  },

  compat: async options => {
    const { module, name, created } = options;
    const { blob, diffId } = await compatLayer(module, options.rootIds ? runtimeConfig(options) : null);
    const config = {
      ...(created ? { created } : {}),
      // What tools ask for that know of no other: the files run nowhere by themselves.
      architecture: "amd64",
      os: "linux",
      config: {},
      rootfs: { type: "layers", diff_ids: [diffId] },
      history: [{ ...(created ? { created } : {}), created_by: "wasmount push" }],
    };
    return {
      config: { mediaType: OCI_CONFIG, blob: blobOf(json(config)) },
      layers: [{ mediaType: OCI_LAYER_GZIP, blob, annotations: { [TITLE_ANNOTATION]: `${name}.tar.gz` } }],
      annotations: { "module.wasm.image/variant": "compat" },
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

function runtimeConfig({ rootIds = [], abiVersions }: ModuleImageOptions): Buffer {
  return writeRuntimeConfig({ type: RUNTIME_TYPE, ...(abiVersions && { abiVersions }), rootIds });
}

function describe({ mediaType, blob, annotations }: Part): object {
  return { mediaType, digest: blob.digest, size: blob.size, ...(annotations ? { annotations } : {}) };
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
