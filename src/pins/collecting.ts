import { setTimeout as sleep } from "node:timers/promises";
import type { Collection, PinCollector } from "./pin-collector.ts";

const EVERY_MS = 10 * 60_000;

/** Told of each run. */
export interface CollectingReports {
  collected(collection: Collection): void;
  /** The next run tries again. */
  failed(error: unknown): void;
}

/** Collects every ten minutes or so, not all replicas at the same moment, until it is aborted. Never rejects. */
export async function collectRepeatedly(
  collector: PinCollector,
  reports: CollectingReports,
  random: () => number,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await sleep(EVERY_MS * (0.5 + random()), undefined, { signal });
      reports.collected(await collector.run(signal));
    } catch (error) {
      if (!signal.aborted) reports.failed(error);
    }
  }
}
