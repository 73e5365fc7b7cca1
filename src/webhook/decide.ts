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
import type { Reference } from "../oci/reference.ts";
import type { ResolvedTag } from "../oci/tag-resolver.ts";
import { type ValidationConfig, validatePod } from "../validation/validate.ts";

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
}

/** The mutating side. */
export function mutation(config: AdmissionConfig, dataPlane: DataPlane, sources: Sources): Decide {
  return async ({ pod, namespace: name, entry, dryRun }) => {
    const deadline = reviewDeadline(config);
    const { namespace } = await namespaceOf(name, entry, sources, deadline);
    const owner = rolloutOf(controllerOf(pod.metadata), pod.metadata.labels);
    return admit(
      pod,
      namespace,
      dataPlane,
      config,
      reference => sources.resolve(reference, { namespace: name, owner, dryRun, deadline }),
      () => sources.limitsOf(name, deadline),
    );
  };
}

/** The validating side. */
export function validation(
  config: ValidationConfig,
  dataPlane: DataPlane,
  sources: Pick<Sources, "namespaces" | "limitsOf">,
): Decide {
  return async ({ pod, namespace: name, entry }) => {
    const deadline = reviewDeadline(config);
    const { namespace, held } = await namespaceOf(name, entry, sources, deadline);
    // A signed plan says within which limits it was made.
    const limits = config.keys === null ? await sources.limitsOf(name, deadline) : [];
    const decision = validatePod(pod, { ...namespace, limits }, dataPlane, config);
    if (decision.outcome !== "Denied" || !held) return decision;
    // Another replica decided a moment ago, and may have known a newer namespace.
    const current = await existing(name, sources.namespaces.getNow(name, deadline));
    return validatePod(pod, { ...current, limits }, dataPlane, config);
  };
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
