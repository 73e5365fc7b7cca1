import { type AdmissionConfig, conclude, type Prepared, prepare } from "../admission/admission.ts";
import type { Decision } from "../admission/decision.ts";
import type { SettledImage } from "../admission/filter-references.ts";
import { INJECTED } from "../admission/key.ts";
import { termsOf } from "../admission/terms.ts";
import { type DataPlane, FETCHER_NAME } from "../dataplanes/data-plane.ts";
import { reasons } from "../decision/reason.ts";
import { isRefusal, type OrRefusal, type Refusal, refuse } from "../decision/refusal.ts";
import type { Namespace } from "../kube/namespace.ts";
import { type Container, controllerOf, type Pod } from "../kube/pod.ts";
import type { Plan, PlanFilter } from "../plan/plan.ts";
import { type ImageJudgement, UNJUDGED } from "../policies/image-judgement.ts";
import { type CarriageRules, type CarriedPlan, readCarriedPlan } from "./carried-plan.ts";
import { refuseDifferences } from "./convergence.ts";
import { refuseSharedProcesses } from "./processes.ts";

/** What the operator decided, as far as it can be seen in a pod. Keys are for verifying only: nothing is signed here. */
export interface ValidationConfig extends Omit<AdmissionConfig, "sign" | "keys">, Pick<CarriageRules, "keys"> {}

/**
 * Decides about a pod as it will be stored, after every mutating webhook: it is what wasmount made of it, or it must not
 * be filtered at all. Nothing is asked of registries: tags stay with the digests that the signed plan pins.
 *
 * The measure is admission itself: with the digests of the plan that the pod carries, another pass must find nothing to
 * change. It goes by the terms of that plan where it is signed, since another replica, of another release or
 * configuration, may have made it a moment ago. What such a pass can't see (a forged plan, processes in sight of each
 * other) is checked beside it. The API server has validated the pod by now, so that names of containers and volumes are
 * unique.
 */
export function validatePod(
  pod: Pod,
  namespace: Namespace,
  dataPlanes: readonly DataPlane[],
  config: ValidationConfig,
): Decision {
  const mutation: AdmissionConfig = { ...config, sign: null, keys: config.keys ?? new Map() };
  const prepared = prepare(pod, namespace, dataPlanes, mutation);
  if ("outcome" in prepared) return unprepared(prepared, pod, namespace, config);
  const carried = carriedPlan(pod, namespace, config);
  if (isRefusal(carried)) return denied(carried);
  const images = pinnedImages(prepared, carried.plan);
  if (isRefusal(images)) return denied(images);
  const terms = config.keys === null ? termsOf(config, prepared.settings, namespace) : carried.plan;
  if (isRefusal(terms)) return denied(terms);
  const wanted = conclude(pod, namespace, mutation, prepared, images, terms);
  if (wanted.outcome !== "Injected") return mountedElsewhere(wanted);
  const refusal =
    refuseEphemeral(pod) ?? refuseSharedProcesses(pod, prepared.proxy) ?? refuseDifferences(pod, wanted, carried);
  if (refusal !== null) return denied(refusal);
  return { outcome: "Verified", reason: "Verified", detail: wanted.detail, plan: carried.plan, planHash: carried.hash };
}

/** Pods that mutation decided about before it came to a plan. */
function unprepared(decision: Decision, pod: Pod, namespace: Namespace, config: ValidationConfig): Decision {
  // There is no pass after this one.
  if (decision.outcome === "Deferred") return denied(refuse("ProxyNeverCame", decision.detail));
  // A mirror pod is a copy of what its kubelet runs already.
  if (decision.outcome !== "Skipped" || decision.reason === "MirrorPod" || !claimsInjection(pod)) return decision;
  const carried = carriedPlan(pod, namespace, config);
  if (isRefusal(carried)) return denied(carried);
  const { sentence } = reasons[decision.reason];
  return denied(refuse("PlanForged", `the pod is to have no fetcher, since it is not injected into: ${sentence}`));
}

/** Whether a pod looks injected: to people, to the policies on updates, or to the kubelet. */
function claimsInjection({ metadata, spec }: Pod): boolean {
  if (metadata.labels?.[INJECTED] !== undefined) return true;
  return [...(spec.initContainers ?? []), ...spec.containers].some(({ name }) => name === FETCHER_NAME);
}

function carriedPlan(pod: Pod, namespace: Namespace, rules: CarriageRules): OrRefusal<CarriedPlan> {
  const fetcher = soleFetcher(pod);
  if (isRefusal(fetcher)) return fetcher;
  return readCarriedPlan(fetcher, { namespace: namespace.name, owner: controllerOf(pod.metadata) }, rules);
}

/**
 * The fetcher, which must be the first of all init containers: one before it could redirect the traffic of its user to
 * a proxy that isn't there yet, and a native sidecar before it could be the proxy.
 */
function soleFetcher({ spec }: Pod): OrRefusal<Container> {
  const places = (spec.initContainers ?? []).flatMap(({ name }, index) => (name === FETCHER_NAME ? [index] : []));
  const [place, another] = places;
  if (place === undefined) {
    return refuse(
      "FetcherMissing",
      `the pod has no init container ${FETCHER_NAME}: is wasmount's mutating webhook registered?`,
    );
  }
  if (another !== undefined) return refuse("FetcherAltered", `spec.initContainers[${another}] is a second one`);
  const [first] = spec.initContainers ?? [];
  if (place === 0 && first !== undefined) return first;
  return refuse("FetcherNotFirst", `spec.initContainers[${place}] is ${FETCHER_NAME}, after ${first?.name}`);
}

/**
 * What the references stand for, in their order: their own digests, and for tags those that the plan pins; with the rules
 * that the plan gives them.
 */
function pinnedImages({ references }: Prepared, plan: Plan): OrRefusal<readonly SettledImage[]> {
  const images: SettledImage[] = [];
  for (const { filter, reference } of references) {
    const planned = plan.filters.find(({ name }) => name === filter.name);
    const digest = reference.digest ?? planned?.digest;
    if (digest === undefined) return refuse("PlanForged", `the fetcher's plan has no filter ${filter.name}`);
    images.push({ digest, judgement: plannedJudgement(planned, plan) });
  }
  return images;
}

function plannedJudgement(filter: PlanFilter | undefined, { rules = [] }: Plan): ImageJudgement {
  const trust = filter?.trust;
  if (trust === undefined) return UNJUDGED;
  return {
    ...UNJUDGED,
    rules: rules.filter(({ policy }) => trust.rules.includes(policy)),
    deferred: trust.deferred ? ["as the plan says"] : [],
  };
}

/** To mutation, a mount of our volumes that isn't ours is a name that the author took; by now someone reaches for it. */
function mountedElsewhere(decision: Decision): Decision {
  return decision.reason === "NameReserved" ? { ...decision, reason: "VolumeExposed" } : decision;
}

/** The API server lets none into a new pod. */
function refuseEphemeral({
  spec,
}: Pod & { readonly spec: { readonly ephemeralContainers?: unknown } }): Refusal | null {
  if (!Array.isArray(spec.ephemeralContainers) || spec.ephemeralContainers.length === 0) return null;
  return refuse("VolumeExposed", "a new pod has ephemeral containers");
}

function denied({ reason, detail }: Refusal): Decision {
  return { outcome: "Denied", reason, detail };
}
