import assert from "node:assert/strict";
import { Deadline } from "../../src/kube/deadline.ts";

const NEVER = new Promise<never>(() => {});

describe("a deadline", () => {
  it("gives what comes before it", async () => {
    assert.equal(await new Deadline(60_000).wait("an answer", Promise.resolve("it")), "it");
    await assert.rejects(new Deadline(60_000).wait("an answer", Promise.reject(new Error("no"))), /^Error: no$/);
  });

  it("ends all waiting at one time, and says for what there was none left", async () => {
    const deadline = new Deadline(20);
    const waits = [deadline.wait("one thing", NEVER), deadline.wait("another", NEVER)];
    const [one, another] = await Promise.allSettled(waits);
    assert.match(String(one?.status === "rejected" && one.reason), /no time left for one thing: 20 ms are over/);
    assert.match(String(another?.status === "rejected" && another.reason), /another/);
    await assert.rejects(deadline.wait("a late question", Promise.resolve()), { code: "Deadline" });
    assert.equal(deadline.signal.aborted, true);
  });

  it("runs from when it was made, not from when it was first waited for", async () => {
    let now = 0;
    const deadline = new Deadline(3_600_000, () => now);
    now = 3_600_001;
    await assert.rejects(deadline.wait("an answer", NEVER), { code: "Deadline" });
  });
});
