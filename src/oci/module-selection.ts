import { RegistryError } from "./error.ts";
import type { LayoutSelector, ModuleLayer } from "./layout.ts";
import { selectCncf } from "./layouts/cncf.ts";
import { selectCompat } from "./layouts/compat.ts";
import { selectContent } from "./layouts/content.ts";
import { selectSolo } from "./layouts/solo.ts";
import { selectTitled } from "./layouts/titled.ts";
import type { ImageManifest } from "./manifest.ts";

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
