import type { Compression } from "./decompression.ts";
import type { Descriptor } from "./descriptor.ts";
import { RegistryError } from "./error.ts";
import { selectCncf } from "./layouts/cncf.ts";
import { selectCompat } from "./layouts/compat.ts";
import { selectContent } from "./layouts/content.ts";
import { selectSolo } from "./layouts/solo.ts";
import { selectTitled } from "./layouts/titled.ts";
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

// The specific ones first: "titled" takes any lone layer with the right name.
const SELECTORS: readonly LayoutSelector[] = [selectCncf, selectSolo, selectContent, selectTitled, selectCompat];

const SUPPORTED =
  "supported: one application/wasm layer (CNCF); one application/vnd.module.wasm.content.layer.v1+wasm layer; " +
  "one application/vnd.wasm.content.layer.v1+wasm layer; a last layer of type tar+gzip or tar+zstd with plugin.wasm in it; " +
  "one layer titled *.wasm (oras push)";

/**
 * Finds the module in an image.
 * @throws {RegistryError} UnsupportedLayout, naming what was found and what is supported
 */
export function selectModule(manifest: ImageManifest): ModuleLayer {
  if (manifest.layers.length === 0)
    throw new RegistryError("UnsupportedLayout", `the image has no layers; ${SUPPORTED}`);
  for (const select of SELECTORS) {
    const module = select(manifest);
    if (module !== null) return module;
  }
  const types = [...new Set(manifest.layers.map(({ mediaType }) => mediaType))].slice(0, 5).join(", ");
  throw new RegistryError("UnsupportedLayout", `no layer is a module: found ${types}; ${SUPPORTED}`);
}
