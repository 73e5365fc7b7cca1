import type { LayoutSelector, ModuleLayer } from "../layout.ts";
import type { ImageManifest } from "../manifest.ts";
import { CONTENT_WASM } from "../media-types.ts";
import { soleLayer } from "./sole-layer.ts";

/** wasm-to-oci, `cosign upload wasm` and Kubewarden: one layer; the config is an empty object. */
export const selectContent: LayoutSelector = (manifest: ImageManifest): ModuleLayer | null => {
  const { layers } = manifest;
  if (!layers.some(({ mediaType }) => mediaType === CONTENT_WASM)) return null;
  return {
    layout: "content",
    layer: soleLayer(layers, CONTENT_WASM, "a wasm-to-oci image"),
    config: null,
    encoding: "raw",
  };
};
