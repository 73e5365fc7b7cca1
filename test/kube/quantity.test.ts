import assert from "node:assert/strict";
import { canonicalQuantity, milliUnits } from "../../src/kube/quantity.ts";

describe("resource quantities", () => {
  const amounts: [text: string, milli: bigint | null][] = [
    ["1", 1000n],
    ["0.5", 500n],
    ["250m", 250n],
    ["1.5Gi", 1_610_612_736_000n],
    ["1Ki", 1_024_000n],
    ["1k", 1_000_000n],
    ["2e3", 2_000_000n],
    ["0.0001", 1n],
    ["5xx", null],
    ["1.2.3", null],
    ["-1", null],
    ["", null],
    ["1 Gi", null],
    ["Gi", null],
    ["1e999", null],
  ];
  for (const [text, milli] of amounts)
    it(`${JSON.stringify(text)} are ${milli} thousandths`, () => assert.equal(milliUnits(text), milli));

  // Seen in objects stored by an API server.
  const canonical: [written: string, stored: string][] = [
    ["1000m", "1"],
    ["1500m", "1500m"],
    ["0.5", "500m"],
    ["1024Mi", "1Gi"],
    ["1536Mi", "1536Mi"],
    ["1.5Gi", "1536Mi"],
    ["1000k", "1M"],
    ["0.5Ki", "512"],
    ["0", "0"],
    ["100", "100"],
    ["1000", "1k"],
  ];
  for (const [written, stored] of canonical) {
    it(`${written} is stored as ${stored}`, () => {
      assert.equal(canonicalQuantity(written), stored);
      assert.equal(canonicalQuantity(stored), stored);
    });
  }

  it("says what is none", () => {
    for (const text of ["5xx", "2e3"]) assert.throws(() => canonicalQuantity(text), /is not a quantity/);
  });
});
