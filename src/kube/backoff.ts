/** How patiently something that failed is tried again. Times in milliseconds. */
export interface Backoff {
  /** The longest first wait; it doubles from there. */
  readonly baseMs: number;
  readonly maxMs: number;
}

/**
 * The wait after so many failures in a row (1 or more): between half and all of a doubling time, so that clients which
 * lost one server together don't come back together.
 * @param random Uniform in [0, 1).
 */
export function waitAfterFailures(failures: number, { baseMs, maxMs }: Backoff, random: () => number): number {
  const longest = Math.min(baseMs * 2 ** Math.min(failures - 1, 30), maxMs);
  return longest * (0.5 + random() / 2);
}
