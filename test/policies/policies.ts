import type { FoundPolicy } from "../../src/policies/policy-set.ts";
import { policyName } from "../../src/trust/policy.ts";
import { parsePolicies } from "../../src/trust/policy-file.ts";
import { p256 } from "../trust/samples.ts";

export const RELEASE = p256();

/** A policy's document, with what a test wants changed in its spec. */
export function policyObject(name: string, spec: object = {}, namespace?: string) {
  return {
    apiVersion: "wasmount.dev/v1alpha1",
    kind: namespace === undefined ? "WasmPolicy" : "NamespacedWasmPolicy",
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    spec: {
      match: { repositories: ["registry.example/**"] },
      verify: { authorities: [{ name: "release", key: { pem: RELEASE.publicPem } }] },
      ...spec,
    },
  };
}

export function foundPolicy(name: string, spec: object = {}, namespace?: string): FoundPolicy {
  const [policy] = parsePolicies(JSON.stringify(policyObject(name, spec, namespace)), "a test");
  if (policy === undefined) throw new Error("no policy");
  return { name: policyName(policy), namespace: namespace ?? null, policy };
}
