import { globSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import Mocha from "mocha";
import { provision } from "./environment/provision.ts";

/** One tier of tests, run in a process of its own: `node test/tier.ts unit|integration|e2e [--grep TEXT] [FILE…]`. */
const tiers = {
  unit: { files: "test/**/*.test.ts", exclude: ["test/integration/**", "test/e2e/**"], timeoutMs: 10_000 },
  integration: { files: "test/integration/**/*.test.ts", exclude: [], timeoutMs: 60_000 },
  e2e: { files: "test/e2e/**/*.test.ts", exclude: [], timeoutMs: 120_000 },
} as const;

export type TierName = keyof typeof tiers;

export interface TierResult {
  readonly passed: number;
  readonly failed: readonly { readonly title: string; readonly message: string }[];
  readonly skipped: readonly { readonly title: string; readonly reason: string }[];
}

const { positionals, values } = parseArgs({ allowPositionals: true, options: { grep: { type: "string" } } });
const [name, ...given] = positionals;
if (name === undefined || !(name in tiers)) {
  console.error(`usage: node test/tier.ts ${Object.keys(tiers).join("|")} [--grep TEXT] [FILE…]`);
  process.exit(2);
}
const tier = tiers[name as TierName];
const files = given.length > 0 ? given : globSync(tier.files, { exclude: [...tier.exclude] }).sort();

if (name !== "unit" && given.length === 0) {
  await provision(name as Exclude<TierName, "unit">, line => console.log(`  ${line}`));
}

const mocha = new Mocha({
  timeout: tier.timeoutMs,
  slow: tier.timeoutMs,
  color: process.stdout.isTTY,
  forbidOnly: true,
  // Unit tests share nothing but processors; what the other tiers start is shared by all of them.
  parallel: name === "unit" && given.length === 0,
  jobs: availableParallelism(),
  ...(values.grep !== undefined && { grep: values.grep }),
});
for (const file of files) mocha.addFile(file);
await mocha.loadFilesAsync();

let passed = 0;
const failed: { title: string; message: string }[] = [];
const skipped: { title: string; reason: string }[] = [];
await new Promise(resolve => {
  const runner = mocha.run(resolve);
  runner.on(Mocha.Runner.constants.EVENT_TEST_PASS, () => {
    passed += 1;
  });
  runner.on(Mocha.Runner.constants.EVENT_TEST_FAIL, (test: Mocha.Test, error: unknown) => {
    failed.push({ title: test.fullTitle(), message: beginning(error) });
  });
  runner.on(Mocha.Runner.constants.EVENT_TEST_PENDING, test => {
    skipped.push({ title: test.fullTitle(), reason: skipReason(test) });
  });
});

const result: TierResult = { passed, failed, skipped };
process.send?.(result);
// Under CI nothing may be skipped, and a run of nothing is no pass.
const nothing = passed + failed.length === 0;
const incomplete = process.env["CI"] !== undefined && skipped.length > 0;
process.exitCode = failed.length > 0 || incomplete || (nothing && skipped.length === 0) ? 1 : 0;
process.disconnect?.();

// What a test left open must be seen, and must not hold the run.
setTimeout(() => {
  console.error(`still open after the last test: ${process.getActiveResourcesInfo().join(", ")}`);
  process.exit();
}, 10_000).unref();

/** The reason that `unavailable()` left on the test, or on the hook of a suite around it. */
function skipReason(test: Mocha.Test): string {
  const own = (test as { skipReason?: string }).skipReason;
  if (own) return own;
  for (let suite = test.parent; suite; suite = suite.parent) {
    const reason = (suite as { skipReason?: string }).skipReason;
    if (reason) return reason;
  }
  return "no reason given";
}

/** The report above has all of it, which for long values is thousands of lines. */
function beginning(error: unknown): string {
  const message = (error as { message?: unknown } | null)?.message ?? error;
  return `${message}`.trim().replace(/\s+/g, " ").slice(0, 300);
}
