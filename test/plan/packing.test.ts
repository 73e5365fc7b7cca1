import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { remembering } from "../../src/plan/bounded-cache.ts";
import { planPacking, planSigning } from "../../src/plan/packing.ts";
import type { PlanRegistry } from "../../src/plan/plan.ts";
import { readPlanKeys, readSigner, type SignedPlan, signPlan, verifyPlan } from "../../src/plan/signature.ts";
import { planToEnvironment } from "../../src/plan/transport.ts";
import { samplePlan } from "./sample.ts";

const MANY = { entries: 100, bytes: 1024 * 1024 };

/** Remembers lengths, and counts what was computed. */
function counting(bounds: { entries: number; bytes: number }) {
  const computed: string[] = [];
  const ask = remembering<{ length: number }, string>(
    bounds,
    text => text,
    () => [],
    text => {
      computed.push(text);
      if (text === "bad") throw new RangeError(text);
      return { length: text.length };
    },
  );
  return { ask, computed };
}

describe("what is remembered of a function", () => {
  it("is asked for once", () => {
    const { ask, computed } = counting(MANY);
    assert.equal(ask("a"), ask("a"));
    assert.deepEqual(computed, ["a"]);
  });

  it("is no more than a number of entries, the oldest going first", () => {
    const { ask, computed } = counting({ ...MANY, entries: 2 });
    for (const text of ["a", "b", "a", "c", "a", "b"]) ask(text);
    assert.deepEqual(computed, ["a", "b", "c", "b"]);
  });

  it("is no more than a number of bytes", () => {
    const { ask, computed } = counting({ entries: 1000, bytes: 64 * 1024 });
    const texts = Array.from({ length: 40 }, (_, index) => String(index).padStart(1500, "x"));
    for (const text of texts) ask(text);
    computed.length = 0;
    for (const text of texts.slice(-10)) ask(text);
    assert.deepEqual(computed, []);
    for (const text of texts.slice(0, 10)) ask(text);
    assert.deepEqual(computed, texts.slice(0, 10));
  });

  it("is nothing so large that it would push out all else", () => {
    const { ask, computed } = counting({ entries: 1000, bytes: 64 * 1024 });
    const huge = "x".repeat(30_000);
    for (const text of ["small", huge, huge, "small"]) ask(text);
    assert.deepEqual(computed, ["small", huge, huge]);
  });

  it("is no failure", () => {
    const { ask, computed } = counting(MANY);
    for (const _ of [1, 2]) assert.throws(() => ask("bad"), RangeError);
    assert.deepEqual(computed, ["bad", "bad"]);
  });
});

describe("packing that remembers", () => {
  it("gives equal plans of the same terms the same, and what packing gives", () => {
    const pack = planPacking(MANY);
    const plan = samplePlan();
    const first = pack(plan);
    const { limits, registries, fetcher } = plan;
    assert.equal(pack({ ...samplePlan(), limits, registries, fetcher }), first);
    assert.deepEqual(first, planToEnvironment(plan));
    assert.deepEqual(pack(samplePlan()), first);
  });

  it("tells plans apart that differ in one member", () => {
    const pack = planPacking(MANY);
    const plan = samplePlan();
    const plans = [
      plan,
      { ...plan, namespace: "other" },
      { ...plan, envoyVersion: "1.39" },
      { ...plan, limits: { ...plan.limits, moduleBytes: 1 } },
      { ...plan, registries: [{ ...plan.registries[0], host: "other.example" } as PlanRegistry] },
      { ...plan, fetcher: { ...plan.fetcher, image: "registry.example/other:1" } },
      samplePlan({ config: null }),
      samplePlan({ config: "null" }),
      samplePlan({ digest: `sha256:${"b".repeat(64)}` }),
    ];
    for (const _ of [1, 2]) for (const each of plans) assert.deepEqual(pack(each), planToEnvironment(each));
  });

  it("refuses a plan that is too large each time", () => {
    const pack = planPacking(MANY);
    const config = "x".repeat(9 * 1024 * 1024);
    for (const _ of [1, 2]) assert.throws(() => pack(samplePlan({ config })), { code: "TooLarge" });
  });
});

describe("signing that remembers", () => {
  const pem = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const signer = readSigner(pem);
  const plan: SignedPlan = { hash: "a".repeat(64), namespace: "shop", owner: "one" };

  it("gives what signing gives", () => {
    const sign = planSigning(MANY);
    for (const _ of [1, 2]) assert.equal(sign(plan, signer), signPlan(plan, signer));
  });

  it("never gives one plan, namespace or owner the signature of another", () => {
    const sign = planSigning(MANY);
    const keys = readPlanKeys([pem]);
    // Text that would read the same if the three were only joined.
    const others: SignedPlan[] = [
      plan,
      { ...plan, hash: "b".repeat(64) },
      { ...plan, namespace: "shop2" },
      { ...plan, namespace: "sho", owner: "pone" },
      { ...plan, owner: "two" },
      { ...plan, owner: "" },
      { ...plan, namespace: "shop\none", owner: "" },
      { ...plan, namespace: "shop,one", owner: "" },
      { ...plan, owner: "one," },
    ];
    for (const _ of [1, 2]) for (const each of others) verifyPlan(each, sign(each, signer), keys);
    assert.equal(new Set(others.map(each => sign(each, signer))).size, others.length);
  });

  it("never gives a signature of another key", () => {
    const sign = planSigning(MANY);
    const next = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    sign(plan, signer);
    verifyPlan(plan, sign(plan, readSigner(next)), readPlanKeys([next]));
  });
});
