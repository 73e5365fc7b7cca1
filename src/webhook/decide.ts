import { type AdmissionConfig, admit } from "../admission/admission.ts";
import type { Decision } from "../admission/decision.ts";
import { type Entry, entryOf } from "../admission/entry.ts";
import type { DataPlane } from "../dataplanes/data-plane.ts";
import { KubeError } from "../kube/error.ts";
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
  request: { readonly namespace: string; readonly owner: string; readonly dryRun: boolean },
) => Promise<ResolvedTag>;

/** The mutating side. */
export function mutation(
  config: AdmissionConfig,
  dataPlane: DataPlane,
  namespaces: NamespaceSource,
  resolve: ResolveFor,
): Decide {
  return async ({ pod, namespace: name, entry, dryRun }) => {
    const { namespace } = await namespaceOf(name, entry, namespaces);
    const owner = rolloutOf(controllerOf(pod.metadata), pod.metadata.labels);
    return admit(pod, namespace, dataPlane, config, reference =>
      resolve(reference, { namespace: name, owner, dryRun }),
    );
  };
}

/** The validating side. */
export function validation(config: ValidationConfig, dataPlane: DataPlane, namespaces: NamespaceSource): Decide {
  return async ({ pod, namespace: name, entry }) => {
    const { namespace, held } = await namespaceOf(name, entry, namespaces);
    const decision = validatePod(pod, namespace, dataPlane, config);
    if (decision.outcome !== "Denied" || !held) return decision;
    // Another replica decided a moment ago, and may have known a newer namespace.
    return validatePod(pod, await existing(name, namespaces.getNow(name)), dataPlane, config);
  };
}

/** The namespace as it is held, or, where another entry was called than its labels ask for, as it is now. */
async function namespaceOf(
  name: string,
  entry: Entry,
  namespaces: NamespaceSource,
): Promise<{ readonly namespace: Namespace; readonly held: boolean }> {
  const held = await namespaces.get(name);
  if (held !== null && entryOf(held) === entry) return { namespace: held, held: true };
  return { namespace: await existing(name, namespaces.getNow(name)), held: false };
}

async function existing(name: string, read: Promise<Namespace | null>): Promise<Namespace> {
  const namespace = await read;
  if (namespace === null) throw new KubeError("NoNamespace", `namespace ${name} does not exist`);
  return namespace;
}
