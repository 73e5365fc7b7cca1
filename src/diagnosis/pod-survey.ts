import type { DataPlane } from "../dataplanes/data-plane.ts";
import type { Namespace } from "../kube/namespace.ts";
import type { ClusterView } from "./cluster-view.ts";
import { DiagnosisError } from "./error.ts";
import type { Installation } from "./installation.ts";
import { type KubeObject, namespaceOf } from "./kube-object.ts";
import { type PodReport, podReport } from "./pod-report.ts";
import type { StoredPod } from "./stored-pod.ts";

/** More pods than anybody reads are a mistake, or a cluster that is looked at namespace by namespace. */
const MAX_PODS = 20_000;

export interface SurveyScope {
  /** null for all. */
  readonly namespace: string | null;
  readonly labelSelector?: string;
}

/**
 * Reports on all pods that wasmount has to do with, by namespace and name. Pods are read page by page and only reports
 * are kept.
 * @throws DiagnosisError
 */
export async function surveyPods(
  cluster: ClusterView,
  { config, excluded }: Installation,
  dataPlanes: readonly DataPlane[],
  { namespace, labelSelector }: SurveyScope,
): Promise<readonly PodReport[]> {
  const namespaces = await namespacesIn(cluster, namespace);
  const path = namespace === null ? "/api/v1/pods" : `/api/v1/namespaces/${namespace}/pods`;
  const reports: PodReport[] = [];
  for await (const pod of cluster.list<StoredPod>(path, labelSelector === undefined ? {} : { labelSelector })) {
    const home = namespaces.get(pod.metadata.namespace ?? "");
    // Its namespace was made after namespaces were read.
    if (home === undefined) continue;
    const report = podReport(pod, home, { config, dataPlanes, excluded });
    if (report === null) continue;
    if (reports.push(report) > MAX_PODS) {
      throw new DiagnosisError("TooMany", `there are more than ${MAX_PODS} pods with filters: name a namespace`);
    }
  }
  const key = ({ namespace: home, pod }: PodReport) => `${home}/${pod}`;
  return reports.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

async function namespacesIn(cluster: ClusterView, only: string | null): Promise<ReadonlyMap<string, Namespace>> {
  if (only !== null) {
    const found = await cluster.get<KubeObject>(`/api/v1/namespaces/${only}`);
    if (found === null) throw new DiagnosisError("NotFound", `there is no namespace ${only}`);
    return new Map([[only, namespaceOf(found)]]);
  }
  const all = new Map<string, Namespace>();
  for await (const object of cluster.list<KubeObject>("/api/v1/namespaces", { metadataOnly: true })) {
    all.set(object.metadata.name, namespaceOf(object));
  }
  return all;
}
