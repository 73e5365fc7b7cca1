import { fieldOf, type SourceMap } from "./source-node.ts";
import { pathText, type SourceStep } from "./source-value.ts";

/** A message of the bootstrap, with the way to it. */
export interface Place {
  readonly map: SourceMap;
  readonly steps: readonly SourceStep[];
}

/** The maps under a field, whether it holds one or a list: Envoy takes a lone message for a list of one. */
export function under(place: Place, name: string): readonly Place[] {
  const field = fieldOf(place.map, name, pathText(place.steps));
  if (!field) return [];
  const steps = [...place.steps, field.key];
  const node = field.use.node;
  if (node.kind === "map") return [{ map: node, steps }];
  if (node.kind === "scalar") return [];
  return node.items.flatMap((item, index) =>
    item.use.node.kind === "map" ? [{ map: item.use.node, steps: [...steps, index] }] : [],
  );
}
