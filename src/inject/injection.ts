import type { Decision } from "../admission/decision.ts";
import type { Namespace, NamespaceSource } from "../kube/namespace.ts";
import type { Pod } from "../kube/pod.ts";
import { type Operation, pointer } from "../patch/operation.ts";
import { applied, type Origins } from "./applied.ts";
import type { Manifest } from "./manifest.ts";
import { type FindNamespace, namespacesOf } from "./namespaces.ts";
import { podOf } from "./pod-of.ts";
import { objectsOf, readWorkload, type Workload } from "./workload.ts";

/** A pod, and whether its manifest is a template, whose pods' owner is not known yet. */
export interface PodRequest {
  readonly pod: Pod;
  readonly namespace: Namespace;
  readonly isTemplate: boolean;
}

/** Decides about a pod. */
export type Decide = (request: PodRequest) => Promise<Decision>;

/** What was decided about a workload's pods. */
export interface Injection {
  readonly workload: Workload;
  /** The namespace that the pods are created in. */
  readonly namespace: string;
  readonly decision: Decision;
  /** What to change, relative to the workload's object. */
  readonly patch: readonly Operation[];
}

/** A file with the values of its documents after injection. */
export interface InjectedManifest {
  readonly manifest: Manifest;
  readonly injections: readonly Injection[];
  readonly values: readonly unknown[];
}

export interface InjectionContext {
  readonly decide: Decide;
  /** Of manifests that name none. */
  readonly defaultNamespace: string;
  readonly namespaceFile: NamespaceSource | null;
  /** Notes which parts of the values are changed forms of which. */
  readonly origins: Origins;
}

/**
 * Decides about the pods of all workloads in some files.
 * @throws InjectError BadObject
 */
export async function injectManifests(
  manifests: readonly Manifest[],
  context: InjectionContext,
): Promise<InjectedManifest[]> {
  const objects = manifests.flatMap(({ documents }) => documents.flatMap(objectsOf));
  const findNamespace = namespacesOf(context.namespaceFile, objects);
  const injected: InjectedManifest[] = [];
  for (const manifest of manifests) {
    const injections: Injection[] = [];
    const values: unknown[] = [];
    for (const document of manifest.documents) {
      const workloads = objectsOf(document).flatMap(object => readWorkload(object) ?? []);
      const decided: Injection[] = [];
      for (const workload of workloads) decided.push(await inject(workload, findNamespace, context));
      values.push(applied(document.value, decided.flatMap(inDocument), context.origins));
      injections.push(...decided);
    }
    injected.push({ manifest, injections, values });
  }
  return injected;
}

async function inject(
  workload: Workload,
  findNamespace: FindNamespace,
  { decide, defaultNamespace }: InjectionContext,
): Promise<Injection> {
  const { pod, onObject } = podOf(workload);
  const namespace = await findNamespace(workload.namespace ?? defaultNamespace);
  const decision = await decide({ pod, namespace, isTemplate: workload.podPath.length > 0 });
  const patch = decision.outcome === "Injected" ? onObject(decision.patch) : [];
  return { workload, namespace: namespace.name, decision, patch };
}

/** The patch of one object as operations on the document that it stands in. */
function inDocument({ workload, patch }: Injection): Operation[] {
  return patch.map(operation => ({ ...operation, path: pointer(...workload.path) + operation.path }));
}
