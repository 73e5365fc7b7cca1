import { generateKeyPairSync } from "node:crypto";
import { type PlanKeys, type PlanSigner, readPlanKeys, readSigner, signPlan } from "../../src/plan/signature.ts";
import { planToEnvironment, SIGNATURE } from "../../src/plan/transport.ts";
import { samplePlan } from "../plan/sample.ts";

const pair = generateKeyPairSync("ed25519");
export const signer: PlanSigner = readSigner(pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString());
export const keys: PlanKeys = readPlanKeys([pair.publicKey.export({ type: "spki", format: "pem" }).toString()]);

export const DIGESTS = ["a", "b"].map(letter => `sha256:${letter.repeat(64)}`) as [string, string];

/** The environment of a fetcher for filters "headers" and "auth", signed for pods of an owner. */
export function environment({ owner = "rs-1", namespace = "shop", signed = true } = {}) {
  const [headers] = samplePlan({ digest: DIGESTS[0] }).filters;
  const auth = { ...headers, name: "auth", slot: "in-last-02", digest: DIGESTS[1] } as NonNullable<typeof headers>;
  const { variables, hash } = planToEnvironment({ ...samplePlan({ digest: DIGESTS[0] }), filters: [headers!, auth] });
  if (!signed) return [...variables];
  return [...variables, { name: SIGNATURE, value: signPlan({ hash, namespace, owner }, signer) }];
}

export interface StoredPod {
  readonly name?: string;
  readonly uid?: string;
  readonly owner?: string;
  readonly phase?: string;
  readonly env?: unknown;
  /** Members of the fetcher's status. */
  readonly fetcher?: object | undefined;
}

/** A pod as an API server has it. */
export function storedPod({
  name = "shop-1",
  uid = `uid-${name}`,
  owner = "rs-1",
  phase = "Pending",
  env = environment(),
  fetcher,
}: StoredPod = {}) {
  return {
    metadata: {
      name,
      namespace: "shop",
      uid,
      resourceVersion: "5",
      ownerReferences: [{ apiVersion: "apps/v1", kind: "ReplicaSet", name: "shop", uid: owner, controller: true }],
    },
    spec: { initContainers: [{ name: "wasmount-fetch", env }, { name: "other" }], containers: [{ name: "envoy" }] },
    status: {
      phase,
      ...(fetcher && { initContainerStatuses: [{ name: "other" }, { name: "wasmount-fetch", ...fetcher }] }),
    },
  };
}

export function terminated(exitCode: number, message = "", finishedAt = "2026-01-02T03:04:05Z") {
  return { terminated: { exitCode, reason: exitCode === 0 ? "Completed" : "Error", message, finishedAt } };
}

export function summary(digests: readonly string[], source = "registry"): string {
  const modules = digests.map(digest => ({ filters: [], digest, source }));
  return JSON.stringify({ summary: "wasmount-fetch", bytes: 10, seconds: 0.5, modules });
}
