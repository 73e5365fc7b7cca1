import type { SlotState } from "../../dataplanes/istio.ts";
import type { Check } from "../check.ts";
import { finding } from "../finding.ts";
import { readSlots } from "../slots.ts";

/** Do the EnvoyFilters stand that attach filters to Istio's proxies? */
export const slotsCheck: Check = {
  name: "Istio's slots",
  async run({ cluster, installation: { config } }) {
    if (!config.istio.enabled) return [];
    const states = [...(await readSlots(cluster, config))];
    const where = `EnvoyFilters of namespace ${config.istio.rootNamespace}`;
    const named = (wanted: SlotState) =>
      states.flatMap(([slot, state]) => (state === wanted ? [`wasmount-${slot}`] : [])).join(", ");
    const missing = named("Missing");
    const altered = named("Altered");
    return [
      ...(missing === "" ? [] : [finding("SlotMissing", where, missing)]),
      ...(altered === "" ? [] : [finding("SlotAltered", where, altered)]),
    ];
  },
};
