import assert from "node:assert/strict";
import { until } from "./until.ts";

const SHORT = { seconds: 0.05, pauseMs: 1 };

describe("waiting for something", () => {
  it("ends with what a look finds, after looks that found nothing or failed", async () => {
    const looks = [
      () => null,
      () => undefined,
      async () => false as const,
      () => assert.fail("not yet"),
      async () => "there",
      () => "too late",
    ];
    const found: string = await until("something", () => looks.shift()?.(), SHORT);
    assert.deepEqual([found, looks.length], ["there", 1]);
  });

  for (const value of [0, "", true]) {
    it(`takes ${JSON.stringify(value)} for something`, async () => {
      assert.equal(await until("something", () => value, SHORT), value);
    });
  }

  it("fails in time, and says what there was to wait for, as it is then", async () => {
    let looks = 0;
    const failed = until(
      () => `more than ${looks > 1 ? "some" : "no"} looks`,
      () => {
        looks += 1;
      },
      SHORT,
    );
    await assert.rejects(failed, { message: "waited 0.05 s for more than some looks" });
  });

  it("says the last error", async () => {
    const looks = [() => assert.fail("first"), () => assert.fail("last")];
    await assert.rejects(
      until("nothing", () => looks.shift()?.(), SHORT),
      { message: "waited 0.05 s for nothing: last" },
    );
  });

  it("looks at least once", async () => {
    assert.equal(await until("something", () => 1, { seconds: 0 }), 1);
  });

  it("ends at once with an error that it does not bear", async () => {
    const looks = [() => assert.fail("borne"), () => assert.fail("not borne"), () => 1];
    const bears = (error: unknown) => error instanceof Error && error.message === "borne";
    await assert.rejects(
      until("something", () => looks.shift()?.(), { ...SHORT, bears }),
      { message: "not borne" },
    );
    assert.equal(looks.length, 1);
  });
});
