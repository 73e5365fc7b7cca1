import assert from "node:assert/strict";
import { waitAfterFailures } from "../../src/kube/backoff.ts";

describe("back-off", () => {
  const backoff = { baseMs: 250, maxMs: 30_000 };

  it("doubles up to its longest wait", () => {
    const waits = [1, 2, 3, 7, 8, 9, 5_000].map(failures => waitAfterFailures(failures, backoff, () => 1 - 2 ** -52));
    assert.deepEqual(waits.map(Math.round), [250, 500, 1_000, 16_000, 30_000, 30_000, 30_000]);
  });

  it("spreads each wait over its upper half", () => {
    assert.equal(
      waitAfterFailures(3, backoff, () => 0),
      500,
    );
    assert.equal(
      waitAfterFailures(3, backoff, () => 0.5),
      750,
    );
  });
});
