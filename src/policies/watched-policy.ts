import { messageOf } from "../error.ts";
import { members, text, type Watched, type WatchedKind } from "../kube/watched-kind.ts";
import { POLICY_API_VERSION, type PolicyKind, policyName } from "../trust/policy.ts";
import { readPolicyObject } from "../trust/policy-object.ts";
import { type Condition, readConditions } from "./condition.ts";
import type { FoundPolicy } from "./policy-set.ts";

/** A policy as the cluster holds it. */
export interface WatchedPolicy extends Watched {
  readonly found: FoundPolicy;
  readonly kind: PolicyKind;
  readonly generation: number;
  readonly status: PolicyStatus;
}

/** What a policy's status says. */
export interface PolicyStatus {
  readonly observedGeneration: number;
  readonly policyHash: string;
  readonly conditions: readonly Condition[];
}

/** Where a kind of policies is, below the cluster's URL. */
export const POLICY_COLLECTIONS: Readonly<Record<PolicyKind, string>> = {
  WasmPolicy: "wasmpolicies",
  NamespacedWasmPolicy: "namespacedwasmpolicies",
};

export const POLICY_API = "/apis/wasmount.dev/v1alpha1";

/** A kind of policies. One that can't be read is held, with the reason: it must not be as if it were not there. */
export function policyKind(kind: PolicyKind): WatchedKind<WatchedPolicy> {
  return {
    list: `${kind}List`,
    accept: { list: "application/json", watch: "application/json" },
    read(object) {
      const content = members(object, "a policy");
      const metadata = members(content.metadata, "a policy's metadata");
      const name = text(metadata.name, "a policy's name");
      const namespace = text(metadata.namespace ?? "", "a policy's namespace");
      const place = namespace === "" ? { name } : { name, namespace };
      return {
        kind,
        name,
        namespace,
        resourceVersion: text(metadata["resourceVersion"] ?? "", "a policy's resourceVersion"),
        generation: typeof metadata.generation === "number" ? metadata.generation : 0,
        status: readStatus(content["status"]),
        found: {
          name: policyName({ kind, metadata: place }),
          namespace: namespace === "" ? null : namespace,
          // Items of a list may leave out what the list says.
          policy: readPolicy({ ...content, apiVersion: POLICY_API_VERSION, kind }),
        },
      };
    },
  };
}

function readPolicy(object: unknown): FoundPolicy["policy"] {
  try {
    return readPolicyObject(object);
  } catch (error) {
    return { code: "Unreadable", problem: messageOf(error).replaceAll("\n", "; ") };
  }
}

/** Whoever may write it may write anything: what is not as we write it counts as not written. */
function readStatus(value: unknown): PolicyStatus {
  const status = typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  const { observedGeneration, policyHash, conditions } = status;
  return {
    observedGeneration: typeof observedGeneration === "number" ? observedGeneration : 0,
    policyHash: typeof policyHash === "string" ? policyHash : "",
    conditions: readConditions(conditions),
  };
}
