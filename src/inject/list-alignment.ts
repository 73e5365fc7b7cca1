import { isDeepStrictEqual } from "node:util";
import type { Origins } from "./applied.ts";

/** Which items of a list before and after a change are one: for each item after it, the index before it or null. */
export type Alignment = readonly (number | null)[];

/**
 * Aligns two lists: items that stayed or were changed with their former selves, and what then stands between the same
 * two neighbours in its order.
 * @returns null where items were removed or have changed places
 */
export function alignLists(before: readonly unknown[], after: readonly unknown[], origins: Origins): Alignment | null {
  const alignment: (number | null)[] = [];
  let next = 0;
  for (const item of after) {
    const index = before.findIndex((candidate, at) => at >= next && isSame(candidate, item, origins));
    alignment.push(index < 0 ? null : index);
    if (index >= 0) next = index + 1;
  }
  return pairGaps(alignment, before.length);
}

function isSame(before: unknown, after: unknown, origins: Origins): boolean {
  if (before === after) return true;
  if (typeof after !== "object" || after === null) return false;
  const origin = origins.get(after);
  return origin === undefined ? isDeepStrictEqual(before, after) : origin === before;
}

/** Gives the items before, that have no counterpart yet, to those after in the same gap. */
function pairGaps(alignment: readonly (number | null)[], length: number): Alignment | null {
  const paired = [...alignment];
  let free = 0;
  for (const [at, index] of alignment.entries()) {
    if (index !== null) {
      if (free < index) return null;
      free = index + 1;
      continue;
    }
    const end = alignment.slice(at).find(later => later !== null) ?? length;
    if (free < end) paired[at] = free++;
  }
  return free < length ? null : paired;
}
