import { type AdmissionConfig, admit } from "../admission/admission.ts";
import type { Config } from "../config/config.ts";
import { registryOptions } from "../config/registry-options.ts";
import type { DataPlane } from "../dataplanes/data-plane.ts";
import { RegistryClient } from "../oci/client.ts";
import { TagResolver } from "../oci/tag-resolver.ts";
import { planPacking, planSigning } from "../plan/packing.ts";
import { readPlanKeyring } from "../webhook/plan-keys.ts";
import type { Decide } from "./injection.ts";

/** Admission without a webhook around it. */
export interface AdmissionCore {
  readonly decide: Decide;
  close(): void;
}

/**
 * Puts admission together as the webhook has it, but for what only a cluster knows: tags are not pinned to owners.
 * @throws ConfigError
 */
export async function admissionCore(config: Config, dataPlane: DataPlane, userAgent: string): Promise<AdmissionCore> {
  const { signer, keys } = await readPlanKeyring(config.plan);
  const deadlineMs = config.limits.resolveSeconds * 1000;
  const registry = new RegistryClient({ ...(await registryOptions(config)), deadlineMs, userAgent });
  const resolver = new TagResolver(registry, { budgetMs: config.limits.resolveSeconds * 1000 });
  const sign = planSigning();
  const pack = planPacking();
  const forPods: AdmissionConfig = { ...config, pack, sign: signer && (plan => sign(plan, signer)), keys };
  // A signature is bound to the pods' owner, which is made only when the workload is created.
  const forTemplates: AdmissionConfig = { ...forPods, sign: null, keys: new Map() };
  return {
    decide: ({ pod, namespace, isTemplate }) =>
      admit(pod, namespace, dataPlane, isTemplate ? forTemplates : forPods, reference => resolver.resolve(reference)),
    close: () => registry.close(),
  };
}
