import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { applyPatch } from "rfc6902";
import { type AdmissionConfig, admit, type ResolveTag } from "../../src/admission/admission.ts";
import { parseConfig } from "../../src/config/load.ts";
import { envoyDataPlane } from "../../src/dataplanes/envoy.ts";
import type { Namespace } from "../../src/kube/namespace.ts";
import type { Pod } from "../../src/kube/pod.ts";
import { type PlanSigner, readPlanKeys, readSigner, signPlan } from "../../src/plan/signature.ts";
import { planToEnvironment } from "../../src/plan/transport.ts";
import type { ValidationConfig } from "../../src/validation/validate.ts";
import { digest, sampleNamespace } from "../admission/pods.ts";

/** A pod that a test changes in ways that no type foresees, as an author or another webhook may. */
export type RawPod = ReturnType<typeof JSON.parse>;

const operator = parseConfig(
  `
tls: {certFile: /tls/tls.crt, keyFile: /tls/tls.key}
fetcher: {image: registry.example/wasmount:0.1.0}
proxy: {injectedBy: [{label: mesh.example/inject, value: "yes"}]}
`,
  "wasmount.yaml",
);

/** A signing key of a test's own, as PEM and as read. */
export function newKey(): { readonly signer: PlanSigner; readonly pem: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return {
    signer: readSigner(privateKey.export({ type: "pkcs8", format: "pem" }).toString()),
    pem: publicKey.export({ type: "spki", format: "pem" }).toString(),
  };
}

const key = newKey();

export const signing: AdmissionConfig = {
  ...operator,
  pack: planToEnvironment,
  sign: plan => signPlan(plan, key.signer),
  keys: readPlanKeys([key.pem]),
};
export const unsigned: AdmissionConfig = { ...signing, sign: null, keys: new Map() };
export const verifying: ValidationConfig = {
  ...operator,
  pack: planToEnvironment,
  keys: signing.keys,
};

const toDigest: ResolveTag = async () => ({ digest: digest("d") });

/** The pod as the mutating side makes it, in the API server's JSON. */
export async function injected(
  pod: Pod,
  namespace: Namespace = sampleNamespace(),
  config: AdmissionConfig = signing,
  resolve: ResolveTag = toDigest,
): Promise<RawPod> {
  const decision = await admit(pod, namespace, [envoyDataPlane], config, resolve);
  if (decision.outcome !== "Injected") {
    return assert.fail(`${decision.outcome} ${decision.reason}: ${decision.detail}`);
  }
  const result: RawPod = JSON.parse(JSON.stringify(pod));
  const problems = applyPatch(result, JSON.parse(JSON.stringify(decision.patch))).filter(problem => problem !== null);
  assert.deepEqual(problems, []);
  return result;
}
