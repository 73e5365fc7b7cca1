import { type AdmissionConfig, admit } from "../admission/admission.ts";
import type { Config } from "../config/config.ts";
import { registryOptions } from "../config/registry-options.ts";
import { RegistryClient } from "../oci/client.ts";
import { TagResolver } from "../oci/tag-resolver.ts";
import { planPacking, planSigning } from "../plan/packing.ts";
import type { DataPlaneName } from "../plan/plan.ts";
import { imageJudgement } from "../policies/image-judgement.ts";
import { readPolicyFiles } from "../policies/policy-files.ts";
import { PolicySet } from "../policies/policy-set.ts";
import { NO_MATERIALS } from "../trust/rules.ts";
import { VERDICT_SETTINGS, Verdicts } from "../trust/verdicts.ts";
import { readPlanKeyFiles } from "../webhook/plan-keys.ts";
import { offlineDataPlanes } from "./data-planes.ts";
import type { Decide } from "./injection.ts";

/** Admission without a webhook around it. */
export interface AdmissionCore {
  readonly decide: Decide;
  close(): void;
}

/**
 * Puts admission together as the webhook has it, but for what only a cluster knows: tags are not pinned to owners, and
 * policies are those of files.
 * @throws ConfigError
 */
export async function admissionCore(
  config: Config,
  dataPlane: DataPlaneName | null,
  userAgent: string,
): Promise<AdmissionCore> {
  const { signer, keys } = await readPlanKeyFiles(config.plan);
  const deadlineMs = config.limits.resolveSeconds * 1000;
  const registry = new RegistryClient({ ...(await registryOptions(config)), deadlineMs, userAgent });
  const resolver = new TagResolver(registry, { budgetMs: deadlineMs });
  const policies = new PolicySet(await readPolicyFiles(config.policy.files), NO_MATERIALS);
  const verdicts = new Verdicts({
    source: registry,
    // What the cluster's policies would say of an image that no file is for is not known here.
    unmatched: config.policy.fromCluster ? "Allow" : config.policy.unmatched,
    unreadable: error => ({ unreadable: error.message, deferrable: false }),
    settings: { ...VERDICT_SETTINGS, budgetMs: deadlineMs },
    now: () => performance.now(),
  });
  const dataPlanes = offlineDataPlanes(config, dataPlane);
  const sign = planSigning();
  const pack = planPacking();
  const forPods: AdmissionConfig = { ...config, pack, sign: signer && (plan => sign(plan, signer)), keys };
  // A signature is bound to the pods' owner, which is made only when the workload is created.
  const forTemplates: AdmissionConfig = { ...forPods, sign: null, keys: new Map() };
  return {
    decide: ({ pod, namespace, isTemplate }) =>
      admit(
        pod,
        namespace,
        dataPlanes,
        isTemplate ? forTemplates : forPods,
        reference => resolver.resolve(reference),
        async () => namespace.limits ?? [],
        async (reference, digest) => {
          const demands = policies.demandsOn(reference, namespace);
          const patient = { signal: new AbortController().signal };
          return imageJudgement(demands, await verdicts.judge({ reference, digest }, demands, patient));
        },
      ),
    close: () => registry.close(),
  };
}
