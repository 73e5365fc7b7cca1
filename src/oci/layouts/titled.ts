import type { Descriptor } from "../descriptor.ts";
import type { LayoutSelector, ModuleLayer } from "../layout.ts";
import type { ImageManifest } from "../manifest.ts";
import { TITLE_ANNOTATION } from "../media-types.ts";

/**
 * A plain `oras push f.wasm`: one layer whose title ends in ".wasm". ORAS calls it a tar unless told otherwise, so the
 * media type says nothing; the module's own first bytes decide.
 */
export const selectTitled: LayoutSelector = ({ layers }: ImageManifest): ModuleLayer | null => {
  const [layer, second] = layers;
  if (layer === undefined || second !== undefined) return null;
  return isTitledModule(layer) ? { layout: "titled", layer, config: null, encoding: "raw" } : null;
};

/** Whether a layer's title says that it is a module, which outweighs its media type. */
export function isTitledModule({ annotations }: Descriptor): boolean {
  return annotations?.[TITLE_ANNOTATION]?.endsWith(".wasm") === true;
}
