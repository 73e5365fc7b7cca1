import assert from "node:assert/strict";
import type { Decision } from "../../src/admission/decision.ts";
import type { OwnerReference, Pod } from "../../src/kube/pod.ts";
import { eventOf } from "../../src/observe/decision-events.ts";
import { samplePod } from "../admission/pods.ts";
import { samplePlan } from "../plan/sample.ts";

const denied: Decision = { outcome: "Denied", reason: "BadValue", detail: "phase is middle", cause: "hunter2" };
const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "shop-5d4f", uid: "u-1", controller: true };

function ownedBy(...ownerReferences: OwnerReference[]): Pod {
  const { metadata, spec } = samplePod();
  return { metadata: { ...metadata, ownerReferences }, spec };
}

describe("the Event of a decision", () => {
  it("is about the controlling owner, says why, and keeps to itself what is for the operator alone", () => {
    assert.deepEqual(eventOf(denied, ownedBy({ ...owner, controller: false, name: "other" }, owner), "shop"), {
      regarding: { apiVersion: "apps/v1", kind: "ReplicaSet", name: "shop-5d4f", uid: "u-1", namespace: "shop" },
      type: "Warning",
      reason: "BadValue",
      action: "Deny",
      note: "wasmount: BadValue: An annotation's value is not one that its key allows. Phase is middle.",
    });
  });

  it("is the same for all pods of an owner", () => {
    const pods = ["a", "b"].map(name => {
      const { metadata, spec } = ownedBy(owner);
      return { metadata: { ...metadata, name }, spec };
    }) as [Pod, Pod];
    assert.deepEqual(eventOf(denied, pods[0], "shop"), eventOf(denied, pods[1], "shop"));
  });

  it("is about the namespace where there is no owner", () => {
    const regarding = { apiVersion: "v1", kind: "Namespace", name: "shop", namespace: "shop" };
    assert.deepEqual(eventOf(denied, samplePod(), "shop")?.regarding, regarding);
  });

  const implausible: Partial<Record<keyof OwnerReference, string>>[] = [
    { name: "../../other" },
    { name: "a".repeat(254) },
    { name: "" },
    { kind: "Replica Set" },
    { kind: "\u001b[31m" },
    { apiVersion: "apps/v1/x y" },
    { apiVersion: "" },
    { uid: "a\nb" },
  ];
  for (const change of implausible) {
    it(`is about the namespace where the owner is none: ${JSON.stringify(change).slice(0, 40)}`, () => {
      const event = eventOf(denied, ownedBy({ ...owner, ...change } as OwnerReference), "shop");
      assert.equal(event?.regarding.kind, "Namespace");
    });
  }

  const types: [decision: Decision, type: string | undefined][] = [
    [{ outcome: "Deferred", reason: "ProxyExpected", detail: "" }, "Normal"],
    [{ outcome: "Skipped", reason: "OptedOut", detail: "" }, undefined],
    [{ outcome: "Skipped", reason: "NoFilters", detail: "" }, undefined],
    [{ outcome: "Skipped", reason: "HostNetwork", detail: "" }, "Warning"],
    [{ outcome: "Skipped", reason: "WindowsPod", detail: "" }, "Warning"],
    [{ outcome: "Verified", reason: "Verified", detail: "", plan: samplePlan(), planHash: "ab" }, undefined],
  ];
  for (const [decision, type] of types) {
    it(`is ${type ?? "none"} where the pod is ${decision.outcome}: ${decision.reason}`, () => {
      assert.equal(eventOf(decision, samplePod(), "shop")?.type, type);
    });
  }
});
