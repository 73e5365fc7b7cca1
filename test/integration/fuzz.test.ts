import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { campaign } from "../fuzz/campaign.ts";
import { targets } from "../fuzz/targets/index.ts";

const SECONDS = 30;

describe("strangers' bytes, broken at random", function () {
  this.timeout(4 * SECONDS * 1000);

  it(`crash, hang and bloat no reader in ${SECONDS} s`, async () => {
    const results = await campaign(targets, { milliseconds: SECONDS * 1000, seed: randomInt(2 ** 31) });
    assert.deepEqual(
      results.flatMap(({ failure }) => failure ?? []),
      [],
    );
    // A target that is never reached finds nothing either.
    for (const { target, cases } of results) assert.ok(cases > 10, `${target}: ${cases} cases`);
  });
});
