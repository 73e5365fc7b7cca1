import { type AdmissionConfig, admit } from "../admission/admission.ts";
import type { Decision } from "../admission/decision.ts";
import { type Entry, entryOf } from "../admission/entry.ts";
import type { DataPlane } from "../dataplanes/data-plane.ts";
import { Deadline } from "../kube/deadline.ts";
import { KubeError } from "../kube/error.ts";
import type { ContainerLimit } from "../kube/limit-range.ts";
import type { Namespace, NamespaceSource } from "../kube/namespace.ts";
import { rolloutOf } from "../kube/owner-id.ts";
import { controllerOf, type Pod } from "../kube/pod.ts";
import { parseReference, type Reference } from "../oci/reference.ts";
import type { ResolvedTag } from "../oci/tag-resolver.ts";
import { type ImageJudgement, imageJudgement } from "../policies/image-judgement.ts";
import type { PolicySet } from "../policies/policy-set.ts";
import type { PinnedImage } from "../trust/judging.ts";
import { rulesHash } from "../trust/rules.ts";
import { type ValidationConfig, validatePod } from "../validation/validate.ts";
import type { NamespaceRegistries } from "./namespace-registries.ts";

/** A pod that is being created. */
export interface PodRequest {
  readonly pod: Pod;
  readonly namespace: string;
  /** The webhook entry that was called. */
  readonly entry: Entry;
  readonly dryRun: boolean;
}

/** Decides about a pod. A rejection is an internal error. */
export type Decide = (request: PodRequest) => Promise<Decision>;

/** Turns a tag into a digest for the pods of an owner. */
export type ResolveFor = (
  reference: Reference,
  request: {
    readonly namespace: string;
    readonly owner: string;
    readonly dryRun: boolean;
    readonly deadline: Deadline;
  },
) => Promise<ResolvedTag>;

/** What is asked about a pod while it is decided about. Each answer may take until the review's deadline, no longer. */
export interface Sources {
  readonly namespaces: Pick<NamespaceSource, "get" | "getNow">;
  /** What LimitRanges ask of the containers of a namespace. */
  readonly limitsOf: (namespace: string, deadline: Deadline) => Promise<readonly ContainerLimit[]>;
  readonly resolve: ResolveFor;
  /**
   * All policies as they are now.
   * @throws KubeError where that can't be told
   */
  readonly policies: () => PolicySet;
  /** Judges an image by what policies demand of it, with what the namespace may ask registries with. */
  readonly judge: NamespaceRegistries["judge"];
}

/** The mutating side. @param current what the operator decided, with the keys of the moment */
export function mutation(current: () => AdmissionConfig, dataPlanes: readonly DataPlane[], sources: Sources): Decide {
  return async ({ pod, namespace: name, entry, dryRun }) => {
    const config = current();
    const deadline = reviewDeadline(config);
    const { namespace } = await namespaceOf(name, entry, sources, deadline);
    const owner = rolloutOf(controllerOf(pod.metadata), pod.metadata.labels);
    const registries = new Deadline(config.limits.resolveSeconds * 1000);
    return admit(
      pod,
      namespace,
      dataPlanes,
      config,
      reference => sources.resolve(reference, { namespace: name, owner, dryRun, deadline }),
      () => sources.limitsOf(name, deadline),
      (reference, digest) => judged({ reference, digest }, namespace, sources, registries),
    );
  };
}

/** What the policies of this moment say of an image whose digest is settled. */
async function judged(
  image: PinnedImage,
  namespace: Namespace,
  sources: Pick<Sources, "policies" | "judge">,
  registries: Deadline,
): Promise<ImageJudgement> {
  const demands = sources.policies().demandsOn(image.reference, namespace);
  return imageJudgement(demands, await sources.judge(image, demands, namespace.name, registries));
}

/** The validating side. @param current what the operator decided, with the keys of the moment */
export function validation(
  current: () => ValidationConfig,
  dataPlanes: readonly DataPlane[],
  sources: Omit<Sources, "resolve">,
): Decide {
  return async ({ pod, namespace: name, entry }) => {
    const config = current();
    const deadline = reviewDeadline(config);
    const { namespace, held } = await namespaceOf(name, entry, sources, deadline);
    // A signed plan says within which limits it was made.
    const limits = config.keys === null ? await sources.limitsOf(name, deadline) : [];
    const decision = validatePod(pod, { ...namespace, limits }, dataPlanes, config);
    if (decision.outcome !== "Denied" || !held) return heldToPolicies(decision, namespace, config, sources);
    // Another replica decided a moment ago, and may have known a newer namespace.
    const newest = await existing(name, sources.namespaces.getNow(name, deadline));
    return heldToPolicies(validatePod(pod, { ...newest, limits }, dataPlanes, config), newest, config, sources);
  };
}

/**
 * A plan may be older than the policies: made by another replica, or put back by who had it. Where it carries other rules
 * than those of this moment, its images have to pass these, too.
 */
async function heldToPolicies(
  decision: Decision,
  namespace: Namespace,
  { limits }: Pick<ValidationConfig, "limits">,
  sources: Pick<Sources, "policies" | "judge">,
): Promise<Decision> {
  if (decision.outcome !== "Verified") return decision;
  const { filters, rules = [] } = decision.plan;
  const policies = sources.policies();
  const registries = new Deadline(limits.resolveSeconds * 1000);
  for (const { name, reference: named, digest, trust } of filters) {
    const reference = parseReference(named);
    const demands = policies.demandsOn(reference, namespace);
    const carried = rules.filter(({ policy }) => trust?.rules.includes(policy));
    if (demands.unusable.length === 0 && rulesHash(demands.rules) === rulesHash(carried)) continue;
    const { denial } = await judged({ reference, digest }, namespace, sources, registries);
    if (denial !== null) return { outcome: "Denied", reason: "PolicyDenied", detail: `filter ${name}: ${denial}` };
  }
  return decision;
}

/** One for all that a review asks: each source has a bound of its own, which add up to more than the API server waits. */
function reviewDeadline({ limits }: Pick<AdmissionConfig, "limits">): Deadline {
  return new Deadline(limits.reviewSeconds * 1000);
}

/** The namespace as it is held, or, where another entry was called than its labels ask for, as it is now. */
async function namespaceOf(
  name: string,
  entry: Entry,
  { namespaces }: Pick<Sources, "namespaces">,
  deadline: Deadline,
): Promise<{ readonly namespace: Namespace; readonly held: boolean }> {
  const held = await namespaces.get(name, deadline);
  if (held !== null && entryOf(held) === entry) return { namespace: held, held: true };
  return { namespace: await existing(name, namespaces.getNow(name, deadline)), held: false };
}

async function existing(name: string, read: Promise<Namespace | null>): Promise<Namespace> {
  const namespace = await read;
  if (namespace === null) throw new KubeError("NoNamespace", `namespace ${name} does not exist`);
  return namespace;
}
