import type { Bench } from "./measurement.ts";
import type { Server } from "./server.ts";

/** Resident memory at one point of a long run, in bytes. */
export interface SoakPoint {
  readonly reviews: number;
  readonly now: number;
  readonly peak: number;
}

const STEP = 100_000;

/** Sends many reviews, closed loop, and reads the memory after each 100,000. */
export async function soak(
  bench: Bench,
  server: Server,
  reviews: number,
  workers: number,
  seen: (point: SoakPoint) => void,
): Promise<void> {
  for (let sent = 0; sent < reviews; ) {
    const count = Math.min(STEP, reviews - sent);
    const { memory, requests } = await bench.measure(server, { kind: "closed", workers, until: { count } });
    sent += count;
    if (requests !== count) throw new Error(`${requests} reviews were sent instead of ${count}`);
    seen({ reviews: sent, ...memory });
  }
}
