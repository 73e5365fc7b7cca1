import assert from "node:assert/strict";
import type { Decision } from "../../src/admission/decision.ts";
import { envoyDataPlane } from "../../src/dataplanes/envoy.ts";
import type { Namespace } from "../../src/kube/namespace.ts";
import type { Pod } from "../../src/kube/pod.ts";
import { type ValidationConfig, validatePod } from "../../src/validation/validate.ts";
import { sampleNamespace, samplePod } from "../admission/pods.ts";
import { injected, type RawPod, verifying } from "./injected-pod.ts";

export function validate(pod: RawPod, namespace: Namespace = sampleNamespace(), config: ValidationConfig = verifying) {
  return validatePod(pod as Pod, namespace, [envoyDataPlane], config);
}

export function assertVerified(decision: Decision): void {
  assert.equal(decision.outcome, "Verified", `${decision.reason}: ${decision.detail}`);
}

export function assertDenied(decision: Decision, reason: string, detail: RegExp): void {
  assert.equal(`${decision.outcome} ${decision.reason}`, `Denied ${reason}`, decision.detail);
  assert.match(decision.detail, detail);
}

/** One way around: what is done to a pod after wasmount made it, and what is to be heard of it. */
export type Attack = readonly [title: string, change: (pod: RawPod) => void, reason: string, detail: RegExp];

export const fetcherOf = (pod: RawPod): RawPod => pod.spec.initContainers[0];
export const app = (pod: RawPod): RawPod => pod.spec.containers[0];
export const proxy = (pod: RawPod): RawPod => pod.spec.containers[1];
export const variable = (pod: RawPod, name: string): RawPod =>
  fetcherOf(pod).env.find((candidate: RawPod) => candidate.name === name);
export const volume = (pod: RawPod, name: string): RawPod =>
  pod.spec.volumes.find((candidate: RawPod) => candidate.name === name);
export const owned = (uid: string): Pod => {
  const { metadata, spec } = samplePod();
  return { metadata: { ...metadata, ownerReferences: [{ uid, controller: true }] }, spec };
};

export function describeAttacks(attacks: readonly Attack[], pod: Pod = samplePod()): void {
  for (const [title, change, reason, detail] of attacks) {
    it(title, async () => {
      const result = await injected(pod);
      assertVerified(validate(result));
      change(result);
      assertDenied(validate(result), reason, detail);
    });
  }
}
