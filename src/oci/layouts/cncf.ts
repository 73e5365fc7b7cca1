import { isRecord } from "../descriptor.ts";
import { RegistryError } from "../error.ts";
import { parseObject } from "../json.ts";
import type { LayoutSelector, ModuleLayer } from "../layout.ts";
import type { ImageManifest } from "../manifest.ts";
import { CNCF_CONFIG, CNCF_WASM } from "../media-types.ts";
import { soleLayer } from "./sole-layer.ts";

/** CNCF TAG Runtime, "Wasm OCI Artifact" v0: one layer of type application/wasm (wkg, oci-wasm, oras). */
export const selectCncf: LayoutSelector = (manifest: ImageManifest): ModuleLayer | null => {
  const { config, layers, artifactType } = manifest;
  const isCncf = config.mediaType === CNCF_CONFIG || artifactType === CNCF_CONFIG;
  if (!isCncf && !layers.some(({ mediaType }) => mediaType === CNCF_WASM)) return null;
  const layer = soleLayer(layers, CNCF_WASM, "a CNCF Wasm artifact");
  return { layout: "cncf", layer, config: config.mediaType === CNCF_CONFIG ? config : null, encoding: "raw" };
};

/**
 * Refuses an artifact whose config says that it is a component: found before its megabytes are fetched.
 * @throws {RegistryError} UnsupportedLayout, BadManifest
 */
export function refuseComponent(configBytes: Uint8Array): void {
  const { os, component } = parseObject(configBytes, "the Wasm config");
  if (os === "wasip2" || isRecord(component)) {
    throw new RegistryError(
      "UnsupportedLayout",
      "the artifact is a Wasm component (wasip2), which Envoy can't run; build a core module (wasip1)",
    );
  }
}
