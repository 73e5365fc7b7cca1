import type { Compression } from "../decompression.ts";
import type { LayoutSelector, ModuleLayer } from "../layout.ts";
import type { ImageManifest } from "../manifest.ts";
import { DOCKER_LAYER_GZIP, DOCKER_LAYER_ZSTD, OCI_LAYER_GZIP, OCI_LAYER_ZSTD } from "../media-types.ts";

const COMPRESSIONS: ReadonlyMap<string, Compression> = new Map([
  [OCI_LAYER_GZIP, "gzip"],
  [DOCKER_LAYER_GZIP, "gzip"],
  [OCI_LAYER_ZSTD, "zstd"],
  [DOCKER_LAYER_ZSTD, "zstd"],
]);

/**
 * Solo.io's specification, "compat" variant, as docker, podman and buildah write it: whatever comes before, the last
 * layer is a compressed tar with the module as plugin.wasm. Higress's plugins fit the same rule.
 */
export const selectCompat: LayoutSelector = ({ layers }: ImageManifest): ModuleLayer | null => {
  const layer = layers.at(-1);
  const encoding = layer && COMPRESSIONS.get(layer.mediaType);
  return layer && encoding ? { layout: "compat", layer, config: null, encoding } : null;
};
