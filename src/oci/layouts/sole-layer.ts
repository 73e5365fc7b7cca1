import type { Descriptor } from "../descriptor.ts";
import { RegistryError } from "../error.ts";
import { isTitledModule } from "./titled.ts";

/**
 * The one layer of a layout that allows no other: of its media type, or titled *.wasm, as the ORAS CLI has it where it
 * wasn't told a type.
 * @throws {RegistryError} UnsupportedLayout
 */
export function soleLayer(layers: readonly Descriptor[], mediaType: string, what: string): Descriptor {
  const [layer] = layers;
  if (layer === undefined || layers.length > 1) {
    throw new RegistryError("UnsupportedLayout", `${what} has exactly one layer, this image has ${layers.length}`);
  }
  if (layer.mediaType !== mediaType && !isTitledModule(layer)) {
    throw new RegistryError(
      "UnsupportedLayout",
      `the layer of ${what} is ${mediaType}, this one is ${layer.mediaType}`,
    );
  }
  return layer;
}
