import { fork } from "node:child_process";
import { once } from "node:events";
import { dropCluster } from "./environment/cluster/down.ts";
import { clusterStatus } from "./environment/cluster/status.ts";
import type { TierName, TierResult } from "./tier.ts";

/** Runs the tiers one after the other and closes with a summary: what `npm test` and CI call. */
const tiers: readonly TierName[] = ["unit", "integration", "e2e"];
const outcomes: { tier: TierName; result: TierResult | null; seconds: number; exit: number }[] = [];

// Tests leave the local cluster up for each other. It goes down with them unless somebody had it up before.
const { components } = await clusterStatus();
const hadCluster = components.length > 0;

for (const tier of tiers) {
  console.log(`\n# ${tier}`);
  const started = performance.now();
  const child = fork(new URL("./tier.ts", import.meta.url), [tier], { execArgv: [] });
  let result: TierResult | null = null;
  child.on("message", message => {
    result = message as TierResult;
  });
  const [code] = (await once(child, "exit")) as [number | null];
  outcomes.push({ tier, result, seconds: Math.round((performance.now() - started) / 1000), exit: code ?? 1 });
}

if (!hadCluster) await dropCluster(line => console.log(line));

console.log("\n# summary");
let passed = 0;
let failed = 0;
let skipped = 0;
for (const { tier, result, seconds, exit } of outcomes) {
  const counts = result ?? { passed: 0, failed: [], skipped: [] };
  passed += counts.passed;
  // A tier that ended without a word has failed as a whole.
  failed += counts.failed.length === 0 && exit !== 0 ? 1 : counts.failed.length;
  skipped += counts.skipped.length;
  const said =
    result === null
      ? `ended with ${exit} before it reported`
      : `${counts.passed} passed, ${counts.failed.length} failed`;
  console.log(`${tier}: ${said}, ${counts.skipped.length} skipped, ${seconds} s`);
  for (const { title, message } of counts.failed) console.log(`  failed: ${title}: ${message}`);
  for (const { title, reason } of counts.skipped) console.log(`  skipped: ${title}: ${reason}`);
}
console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exitCode = failed > 0 ? 1 : 0;
