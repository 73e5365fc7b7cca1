import type { Context } from "mocha";

/**
 * Ends a test's set-up where this machine can't play: skips with the reason, which the run's summary repeats. Under
 * CI nothing may be skipped, so there it fails.
 */
export function unavailable(context: Context, reason: string): never {
  if (process.env["CI"]) throw new Error(`under CI nothing may be skipped, and this machine can't run it: ${reason}`);
  const runnable = context.runnable();
  // A skipped hook skips every test of its suite, so the reason is left there too.
  for (const place of [runnable, runnable.parent]) if (place) Object.assign(place, { skipReason: reason });
  return context.skip();
}
