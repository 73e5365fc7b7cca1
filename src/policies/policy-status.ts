import { inSeconds } from "../rfc3339.ts";
import type { Condition } from "./condition.ts";
import type { CompiledPolicy, FoundPolicy, PolicyProblem } from "./policy-set.ts";
import type { PolicyStatus, WatchedPolicy } from "./watched-policy.ts";

const MAX_MESSAGE = 1024;

/**
 * What a policy's status is to say.
 * @param rule of the policy with what it refers to
 * @param now of conditions that change
 * @returns null where it says so already
 */
export function newStatus(
  { found, generation, status }: WatchedPolicy,
  rule: CompiledPolicy["rule"],
  now: Date,
): PolicyStatus | null {
  const problem = "problem" in rule ? rule : null;
  const condition = (type: string, bad: PolicyProblem | null, reason: string, message: string): Condition => {
    const before = status.conditions.find(one => one.type === type);
    const value = bad === null ? "True" : "False";
    return {
      type,
      status: value,
      reason: bad?.code ?? reason,
      message: (bad?.problem ?? message).slice(0, MAX_MESSAGE),
      lastTransitionTime: before?.status === value ? before.lastTransitionTime : inSeconds(now),
      observedGeneration: generation,
    };
  };
  const about = (code: PolicyProblem["code"]) => (problem?.code === code ? problem : null);
  const next: PolicyStatus = {
    observedGeneration: generation,
    policyHash: "hash" in rule ? rule.hash : "",
    conditions: [
      condition("Ready", problem, "InForce", "images are judged by it"),
      ...(has(found, "key") ? [condition("KeysValid", about("BadKey"), "Usable", "all keys can be used")] : []),
      ...(has(found, "keyless")
        ? [condition("TrustRootValid", about("BadTrustRoot"), "Usable", "all trusted roots can be used")]
        : []),
    ],
  };
  return JSON.stringify(next) === JSON.stringify(pick(status)) ? null : next;
}

function has({ policy }: FoundPolicy, material: "key" | "keyless"): boolean {
  return "spec" in policy && policy.spec.verify.authorities.some(authority => authority[material] !== undefined);
}

function pick({ observedGeneration, policyHash, conditions }: PolicyStatus): PolicyStatus {
  return {
    observedGeneration,
    policyHash,
    conditions: conditions.map(({ type, status, reason, message, lastTransitionTime, observedGeneration: seen }) => ({
      type,
      status,
      reason,
      message,
      lastTransitionTime,
      observedGeneration: seen,
    })),
  };
}
