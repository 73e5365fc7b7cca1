import type { Context } from "mocha";

/**
 * Ends a test's set-up where this machine can't play: skips with the reason, which the runner's summary repeats.
 * Under CI nothing may be skipped, so there it fails.
 */
export function unavailable(context: Context, reason: string): never {
  if (process.env["CI"]) throw new Error(`under CI nothing may be skipped, and this machine can't run it: ${reason}`);
  const runnable = context.test;
  if (runnable) Object.assign(runnable, { skipReason: reason });
  console.log(`      skipped: ${reason}`);
  return context.skip();
}
