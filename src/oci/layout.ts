import type { Compression } from "./decompression.ts";
import type { Descriptor } from "./descriptor.ts";
import type { ImageManifest } from "./manifest.ts";

/**
 * How an image holds its module: CNCF Wasm artifact; Solo.io's "oci" variant (wasme, Istio); Solo.io's "compat" variant
 * (docker, buildah; a compressed tar with plugin.wasm); wasm-to-oci, cosign and Kubewarden; a file pushed with the ORAS CLI.
 */
export const LAYOUT_NAMES = ["cncf", "solo-oci", "compat", "content", "titled"] as const;
export type LayoutName = (typeof LAYOUT_NAMES)[number];

export interface ModuleLayer {
  readonly layout: LayoutName;
  readonly layer: Descriptor;
  /** What is known beside the module: JSON worth reading, or null. */
  readonly config: Descriptor | null;
  /** "raw": the layer is the module. Else the layer is a tar, compressed this way, and holds it as plugin.wasm. */
  readonly encoding: "raw" | Compression;
}

/** One layout's view of a manifest: its module, or null where the manifest is of another layout. */
export type LayoutSelector = (manifest: ImageManifest) => ModuleLayer | null;
