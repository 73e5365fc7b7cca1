import assert from "node:assert/strict";
import { LevelLoop, type LevelState } from "../../src/kube/level-loop.ts";

describe("a loop by levels", () => {
  /** A loop whose runs end as told, and whose waits are noted down; each wait ends when the test says so. */
  function looping(...outcomes: (LevelState | Error)[]) {
    const waits: number[] = [];
    const failures: unknown[] = [];
    let runs = 0;
    let pass = () => {};
    const loop = new LevelLoop({
      async run() {
        const outcome = outcomes[Math.min(runs, outcomes.length - 1)] ?? "there";
        runs += 1;
        if (outcome instanceof Error) throw outcome;
        return outcome;
      },
      failed: error => failures.push(error),
      settings: { everyMs: 60_000, backoff: { baseMs: 250, maxMs: 30_000 } },
      random: () => 0.5,
      sleep(milliseconds, signal) {
        waits.push(milliseconds);
        return new Promise((resolve, reject) => {
          pass = () => resolve(undefined);
          signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        });
      },
    });
    const turn = () => new Promise(resolve => setImmediate(resolve));
    return {
      loop,
      waits,
      failures,
      runs: () => runs,
      turn,
      async next() {
        pass();
        await turn();
      },
    };
  }

  it("runs at times where all is as it should be, a minute apart at most", async () => {
    const { loop, waits, turn, next, runs } = looping("there");
    await turn();
    await next();
    assert.deepEqual([runs(), waits], [2, [45_000, 45_000]]);
    await loop.close();
  });

  it("runs again before long after a change or a failure, and is more patient each time", async () => {
    const { loop, waits, failures, turn, next } = looping("moving", new Error("no"), "moving", "there", "moving");
    await turn();
    for (let runs = 1; runs < 5; runs += 1) await next();
    assert.deepEqual(waits, [187.5, 375, 750, 45_000, 187.5]);
    assert.equal(failures.length, 1);
    await loop.close();
  });

  it("is patient for half a minute at most", async () => {
    const { loop, waits, turn, next } = looping(new Error("no"));
    await turn();
    for (let runs = 1; runs < 20; runs += 1) await next();
    assert.equal(waits.at(-1), 22_500);
    await loop.close();
  });

  it("runs at once when it is woken, also where that was while it ran", async () => {
    const { loop, turn, runs } = looping("there");
    loop.wake();
    await turn();
    await turn();
    assert.equal(runs(), 2);
    loop.wake();
    await turn();
    await turn();
    assert.equal(runs(), 3);
    await loop.close();
  });

  it("waits as long as it is told to, unless it is woken", async () => {
    const { loop, waits, turn, runs } = looping({ waitMs: 5_000 }, { waitMs: 90_000 });
    await turn();
    loop.wake();
    await turn();
    await turn();
    assert.deepEqual([runs(), waits], [2, [5_000, 45_000]]);
    await loop.close();
  });

  it("ends in the middle of a wait", async () => {
    const { loop, turn, runs } = looping("moving");
    await turn();
    await loop.close();
    await turn();
    assert.equal(runs(), 1);
  });
});
