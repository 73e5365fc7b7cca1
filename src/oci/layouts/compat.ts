import type { LayoutSelector, ModuleLayer } from "../layout.ts";
import type { ImageManifest } from "../manifest.ts";
import { DOCKER_LAYER_GZIP, OCI_LAYER_GZIP } from "../media-types.ts";

/**
 * Solo.io's specification, "compat" variant, as docker, podman and buildah write it: whatever comes before, the last
 * layer is a gzipped tar with the module as plugin.wasm. Higress's plugins fit the same rule.
 */
export const selectCompat: LayoutSelector = ({ layers }: ImageManifest): ModuleLayer | null => {
  const layer = layers.at(-1);
  if (layer?.mediaType !== OCI_LAYER_GZIP && layer?.mediaType !== DOCKER_LAYER_GZIP) return null;
  return { layout: "compat", layer, config: null, encoding: "tar+gzip" };
};
