import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";

/** Both halves of V8's young generation. */
const BYTES = 64 * 1024 * 1024;
const LOOK_MS = 100;

/**
 * Lets V8's young generation grow as it does by itself, doubling under load, and then keeps it at 64 MB, which hold some
 * five hundred reviews: little of one outlives its answer, and what a collection finds no longer needed costs nothing. Smaller
 * ones move the reviews under way into the old generation; Node 24 alone would go on to 256 MB, which stay the process's own.
 */
export function boundYoungGeneration(): void {
  const looking = setInterval(() => {
    if (youngGeneration() < BYTES) return;
    setFlagsFromString("--semi-space-growth-factor=1");
    clearInterval(looking);
  }, LOOK_MS);
  looking.unref();
}

function youngGeneration(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")?.space_size ?? 0;
}
