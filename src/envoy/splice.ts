import { BootstrapError } from "./bootstrap-error.ts";

/** One change to a text: what lies between two offsets is replaced. */
export interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * The text with all splices done. Removals may overlap each other; an insertion at a removal's edge stays.
 * @throws BootstrapError Internal for an insertion inside a removal
 */
export function applySplices(text: string, splices: readonly Splice[]): string {
  const ordered = splices.toSorted((a, b) => a.start - b.start || a.end - b.end);
  const parts: string[] = [];
  let at = 0;
  for (const splice of ordered) {
    if (splice.start < at && splice.text !== "") {
      throw new BootstrapError("Internal", `an insertion at offset ${splice.start} falls into a removed part`);
    }
    parts.push(text.slice(at, Math.max(at, splice.start)), splice.text);
    at = Math.max(at, splice.end);
  }
  return parts.join("") + text.slice(at);
}
