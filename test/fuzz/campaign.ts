import fc from "fast-check";
import { inputsOf } from "./mutation.ts";
import { keepRegression } from "./regressions.ts";
import type { FuzzTarget } from "./target.ts";
import { Watchdog } from "./watchdog.ts";

export interface CampaignOptions {
  /** For all targets together. */
  readonly milliseconds: number;
  /** The same seed gives the same inputs in the same order. */
  readonly seed: number;
}

export interface TargetResult {
  readonly target: string;
  readonly cases: number;
  /** What to print of a failure, or null. */
  readonly failure: string | null;
}

/** Of processor time: a busy machine must not make a case slow. */
const MAX_CPU_MS = 1_000;
/** Without any end in sight, on a machine however busy. */
const MAX_WALL_MS = 30_000;
/** Inputs have at most a quarter of a mebibyte. */
const MAX_GROWTH = 256 * 1024 * 1024;
const SAMPLE = 128;

/**
 * Runs targets one after the other, each for its share of the time, and keeps the smallest input of each failure among
 * the regressions, where the unit tests find it from then on.
 */
export async function campaign(targets: readonly FuzzTarget[], options: CampaignOptions): Promise<TargetResult[]> {
  const watchdog = new Watchdog(MAX_WALL_MS);
  const results: TargetResult[] = [];
  try {
    for (const target of targets) {
      results.push(await one(target, options.milliseconds / targets.length, options.seed, watchdog));
    }
  } finally {
    await watchdog.stop();
  }
  return results;
}

async function one(target: FuzzTarget, milliseconds: number, seed: number, watchdog: Watchdog): Promise<TargetResult> {
  let cases = 0;
  const before = process.memoryUsage.rss();
  const property = fc.asyncProperty(inputsOf(target), async input => {
    cases += 1;
    watchdog.begin(target.name, input);
    await runCase(target, input);
    if (cases % SAMPLE === 0) refuseGrowth(before);
  });
  const details = await fc.check(property, {
    seed,
    numRuns: Number.MAX_SAFE_INTEGER,
    interruptAfterTimeLimit: milliseconds,
  });
  watchdog.rest();
  if (!details.failed || details.counterexample === null) return { target: target.name, cases, failure: null };
  const [input] = details.counterexample;
  const error = details.errorInstance;
  const told = error instanceof Error ? error.stack : String(error);
  return {
    target: target.name,
    cases,
    failure: `--target ${target.name} --seed ${seed}, kept as ${keepRegression(target.name, input)}\n${told}`,
  };
}

/** One case, held to its time. @throws whatever the target finds */
export async function runCase(target: FuzzTarget, input: Buffer): Promise<void> {
  const started = process.cpuUsage();
  await target.run(input);
  const { user, system } = process.cpuUsage(started);
  const spent = (user + system) / 1000;
  if (spent > MAX_CPU_MS) throw new Error(`the case took ${spent} ms of processor time`);
}

function refuseGrowth(before: number): void {
  const growth = process.memoryUsage.rss() - before;
  if (growth > MAX_GROWTH) throw new Error(`the process grew by ${growth} bytes`);
}
