import assert from "node:assert/strict";
import { timestamps } from "../../src/observe/log.ts";

describe("a line's time", () => {
  it("is in ISO 8601 with milliseconds, whatever the time before", () => {
    let time = 0;
    const timestamp = timestamps(() => time);
    const day = Date.parse("2026-11-26T06:59:59.998Z");
    for (const step of [0, 1, 2, 3, 1000, 1007, 1042, 999, 0, -1, 60_000, 86_400_000]) {
      time = day + step;
      assert.equal(timestamp(), `,"time":"${new Date(time).toISOString()}"`);
    }
  });
});
