import { RegistryError } from "../error.ts";
import type { LayoutSelector, ModuleLayer } from "../layout.ts";
import type { ImageManifest } from "../manifest.ts";
import { SOLO_CONFIG, SOLO_WASM } from "../media-types.ts";

/**
 * Solo.io's Wasm artifact image specification, "oci" variant. wasme wrote two layers, runtime config and module, in
 * either order; images with only the module, or with a document more, are about as well.
 */
export const selectSolo: LayoutSelector = ({ config, layers }: ImageManifest): ModuleLayer | null => {
  const [layer, second] = layers.filter(({ mediaType }) => mediaType === SOLO_WASM);
  if (layer === undefined) return null;
  if (second !== undefined)
    throw new RegistryError("UnsupportedLayout", `the image has two layers of type ${SOLO_WASM}`);
  const runtimeConfig = [config, ...layers].find(({ mediaType }) => mediaType === SOLO_CONFIG);
  return { layout: "solo-oci", layer, config: runtimeConfig ?? null, encoding: "raw" };
};
