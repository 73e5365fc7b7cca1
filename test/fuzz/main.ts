import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { peakMemory } from "../environment/peak-memory.ts";
import { campaign } from "./campaign.ts";
import { targets } from "./targets/index.ts";

/** `npm run fuzz -- --seconds 600 [--target NAME] [--seed NUMBER]` */
const { values } = parseArgs({
  options: { seconds: { type: "string" }, seed: { type: "string" }, target: { type: "string" } },
});
const seconds = Number(values.seconds ?? 60);
const seed = Number(values.seed ?? randomInt(2 ** 31));
const chosen = targets.filter(({ name }) => values.target === undefined || name === values.target);
if (!(seconds > 0) || !Number.isSafeInteger(seed) || chosen.length === 0) {
  console.error("usage: npm run fuzz -- [--seconds N] [--seed N] [--target NAME]");
  console.error(`targets: ${targets.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}
console.log(`${seconds} s, seed ${seed}`);
const results = await campaign(chosen, { milliseconds: seconds * 1000, seed });
for (const { target, cases, failure } of results) {
  console.log(
    `${target.padEnd(16)} ${String(cases).padStart(9)} cases${failure === null ? "" : `, FAILED: ${failure}`}`,
  );
}
console.log(`peak memory ${Math.round(peakMemory() / 1024 / 1024)} MiB`);
process.exitCode = results.some(({ failure }) => failure !== null) ? 1 : 0;
