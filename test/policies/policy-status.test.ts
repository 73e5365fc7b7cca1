import assert from "node:assert/strict";
import { PolicySet } from "../../src/policies/policy-set.ts";
import { newStatus } from "../../src/policies/policy-status.ts";
import { type PolicyStatus, policyKind, type WatchedPolicy } from "../../src/policies/watched-policy.ts";
import { policyObject, RELEASE } from "./policies.ts";

const SOON = new Date("2026-01-01T00:00:00.500Z");
const LATER = new Date("2026-01-02T00:00:00Z");
const bySecret = {
  verify: { authorities: [{ name: "ops", key: { secretRef: { name: "keys", key: "cosign.pub" } } }] },
};

function held(spec: object, status: object = {}, generation = 3): WatchedPolicy {
  const object = policyObject("a", spec);
  const metadata = { ...object.metadata, uid: "u", resourceVersion: "7", generation, managedFields: [] };
  return policyKind("WasmPolicy").read({ ...object, metadata, status });
}

function statusOf(policy: WatchedPolicy, key: string | null, now = SOON): PolicyStatus | null {
  const [compiled] = new PolicySet([policy.found], { secret: () => key, configMap: () => null }).policies;
  return newStatus(policy, compiled?.rule ?? assert.fail(), now);
}

describe("the status of a policy", () => {
  it("says that it is in force, for which generation and with which content", () => {
    const status = statusOf(held({}), null) ?? assert.fail();
    assert.equal(status.observedGeneration, 3);
    assert.match(status.policyHash, /^[a-f0-9]{64}$/);
    assert.deepEqual(
      status.conditions.map(({ type, status, lastTransitionTime }) => [type, status, lastTransitionTime]),
      [
        ["Ready", "True", "2026-01-01T00:00:00Z"],
        ["KeysValid", "True", "2026-01-01T00:00:00Z"],
      ],
    );
  });

  it("is written once", () => {
    const status = statusOf(held({}), null) ?? assert.fail();
    assert.equal(statusOf(held({}, status), null, LATER), null);
    assert.notEqual(statusOf(held({}, status, 4), null, LATER), null, "another generation");
  });

  it("says since when a key is missing, and why", () => {
    const good = statusOf(held(bySecret), RELEASE.publicPem) ?? assert.fail();
    const bad = statusOf(held(bySecret, good), null, LATER) ?? assert.fail();
    const [ready, keys] = bad.conditions;
    assert.deepEqual([ready?.status, keys?.status, keys?.reason], ["False", "False", "BadKey"]);
    assert.match(keys?.message ?? "", /Secret keys, key cosign.pub, and that is not there/);
    assert.equal(keys?.lastTransitionTime, "2026-01-02T00:00:00Z");
    assert.equal(bad.policyHash, "");
  });

  it("says what can't be read", () => {
    const { conditions } = statusOf(held({ mode: "Sometimes" }), null) ?? assert.fail();
    assert.deepEqual(
      [conditions[0]?.type, conditions[0]?.status, conditions[0]?.reason],
      ["Ready", "False", "Unreadable"],
    );
    assert.match(conditions[0]?.message ?? "", /mode/);
  });

  it("takes what others wrote there for nothing", () => {
    for (const status of [{ conditions: "all good" }, { conditions: [null, 7] }, "fine", { policyHash: {} }]) {
      assert.notEqual(statusOf(held({}, status as object), null), null);
    }
  });
});
