import type { SlotState } from "../../dataplanes/mesh-slots.ts";
import { istioSlotObjects, kumaSlotObjects } from "../../dataplanes/slot-objects.ts";
import type { Check } from "../check.ts";
import { type Finding, finding } from "../finding.ts";
import { readSlots } from "../slots.ts";

/** Do the objects stand that attach filters to a mesh's proxies? */
export const slotsCheck: Check = {
  name: "slots of meshes",
  async run({ cluster, installation: { config } }) {
    const findings: Finding[] = [];
    for (const objects of [istioSlotObjects(config), kumaSlotObjects(config)]) {
      if (objects === null) continue;
      const states = [...(await readSlots(cluster, objects))];
      const where = `${objects.resource} of namespace ${objects.namespace}`;
      const named = (wanted: SlotState) =>
        states.flatMap(([name, state]) => (state === wanted ? [name] : [])).join(", ");
      const missing = named("Missing");
      const altered = named("Altered");
      if (missing !== "") findings.push(finding("SlotMissing", where, missing));
      if (altered !== "") findings.push(finding("SlotAltered", where, altered));
    }
    return findings;
  },
};
