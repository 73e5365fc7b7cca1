import type { Policy } from "./policy.ts";
import { checkedPolicies } from "./policy-file.ts";

/** @throws {TrustError} BadPolicy */
export function readPolicyObject(value: unknown): Policy {
  const { apiVersion, kind, metadata, spec } = structuredClone(value) as {
    apiVersion: unknown;
    kind: unknown;
    metadata: { name: string; namespace?: string };
    spec: unknown;
  };
  const place =
    metadata.namespace === undefined ? { name: metadata.name } : { name: metadata.name, namespace: metadata.namespace };
  const [policy] = checkedPolicies([{ apiVersion, kind, metadata: place, spec }], () => "it");
  if (policy === undefined) throw new Error("no policy");
  return policy;
}
