import { LRUCache } from "lru-cache";

/** What a cache may hold at most: entries, and bytes of all keys and values together. */
export interface CacheBounds {
  readonly entries: number;
  readonly bytes: number;
}

/** No entry may take more than this part of a cache's bytes: one huge plan must not push out all ordinary ones. */
const SHARE = 1 / 16;
/** What an entry costs beside its text. */
const OVERHEAD_BYTES = 256;

/**
 * A function of a text, remembered for the texts asked for last. What it throws is not remembered.
 * @param textOf the text that a value holds on to, for its size
 */
export function remembering<Value extends object | string, Input>(
  bounds: CacheBounds,
  keyOf: (input: Input) => string,
  textOf: (value: Value) => readonly string[],
  compute: (input: Input) => Value,
): (input: Input) => Value {
  const known = new LRUCache<string, Value>({
    max: bounds.entries,
    maxSize: bounds.bytes,
    maxEntrySize: Math.floor(bounds.bytes * SHARE),
    sizeCalculation: (value, key) => OVERHEAD_BYTES + sizeOf([key, ...textOf(value)]),
  });
  return input => {
    const key = keyOf(input);
    const remembered = known.get(key);
    if (remembered !== undefined) return remembered;
    const value = compute(input);
    known.set(key, value);
    return value;
  };
}

/** An upper bound: two bytes a UTF-16 code unit, of which the engine saves one where it can. */
function sizeOf(texts: readonly string[]): number {
  return texts.reduce((sum, { length }) => sum + 2 * length, 0);
}
