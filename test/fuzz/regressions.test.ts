import { runCase } from "./campaign.ts";
import { regressionsOf } from "./regressions.ts";
import { targets } from "./targets/index.ts";

describe("what fuzzing found, and what it begins with", () => {
  for (const target of targets) {
    it(`${target.name}: as they are`, async () => {
      for (const seed of target.seeds) await runCase(target, seed);
    });
    for (const { name, input } of regressionsOf(target.name)) {
      it(`${target.name}: ${name}`, () => runCase(target, input));
    }
  }
});
