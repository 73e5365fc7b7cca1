import type { AttachedFilter } from "../../src/dataplanes/data-plane.ts";

/** A filter that says nothing special, in a slot. */
export function filterIn(slot: string, changes: Partial<AttachedFilter> = {}): AttachedFilter {
  return {
    name: `filter-${slot}`,
    slot,
    phase: slot.includes("-first-") ? "first" : "last",
    config: null,
    rootId: null,
    runtimeFailure: "closed",
    capabilities: null,
    ...changes,
  };
}
