import { readEligibility } from "../../admission/eligibility.ts";
import { entryOf } from "../../admission/entry.ts";
import { fetcherResources } from "../../admission/fetcher-resources.ts";
import { INJECT, LOCKED, PREFIX } from "../../admission/key.ts";
import { sentence } from "../../admission/response.ts";
import { readSettings } from "../../admission/settings.ts";
import { isLocked } from "../../admission/switch.ts";
import { isRefusal, type Refusal } from "../../decision/refusal.ts";
import { type ContainerLimit, readLimitRange } from "../../kube/limit-range.ts";
import type { Namespace } from "../../kube/namespace.ts";
import type { Pod } from "../../kube/pod.ts";
import type { Check } from "../check.ts";
import { type Finding, finding } from "../finding.ts";
import type { Installation } from "../installation.ts";
import { type KubeObject, namespaceOf } from "../kube-object.ts";

const ENFORCED = "pod-security.kubernetes.io/enforce";
const SAFE = new Set(["baseline", "restricted"]);

/** Do namespaces say what admission understands, and is there room in them? */
export const namespacesCheck: Check = {
  name: "namespaces",
  async run({ cluster, installation }) {
    const ours: Namespace[] = [];
    for await (const object of cluster.list<KubeObject>("/api/v1/namespaces", { metadataOnly: true })) {
      const namespace = namespaceOf(object);
      // Into one that is about to go nobody can create pods.
      if (object.metadata.deletionTimestamp === undefined && speaksToUs(namespace)) ours.push(namespace);
    }
    const limits = await limitsByNamespace(cluster.list<KubeObject>("/api/v1/limitranges"));
    return ours.flatMap(namespace => {
      const where = `namespace ${namespace.name}`;
      if (installation.excluded.includes(namespace.name)) return ignoredFindings(namespace, where);
      return [
        ...refusedFindings(namespace, installation, where),
        ...securityFindings(namespace, where),
        ...roomFindings(namespace, installation, limits.get(namespace.name) ?? [], where),
      ];
    });
  },
};

function speaksToUs({ labels, annotations }: Namespace): boolean {
  return [...Object.keys(labels), ...Object.keys(annotations)].some(key => key.startsWith(PREFIX));
}

function ignoredFindings({ labels }: Namespace, where: string): Finding[] {
  const switches = [INJECT, LOCKED].filter(key => labels[key] !== undefined && labels[key] !== "false");
  if (switches.length === 0) return [];
  return [finding("NamespaceIgnored", where, switches.map(key => `${key}=${labels[key]}`).join(", "))];
}

/** What admission says of a pod that is switched on and says nothing itself. */
function refusedFindings(namespace: Namespace, { config }: Installation, where: string): Finding[] {
  // A locked namespace decides alone, and a pod's own label is what calls the webhook where the namespace's does not.
  const labels: Readonly<Record<string, string>> = entryOf(namespace) === "pod" ? { [INJECT]: "true" } : {};
  const pod: Pod = { metadata: { labels }, spec: { containers: [] } };
  const eligibility = readEligibility(pod, namespace);
  const read = isRefusal(eligibility) ? eligibility : readSettings(pod, namespace, config.limits);
  return isRefusal(read) ? [finding("NamespaceRefused", where, words(read))] : [];
}

function securityFindings(namespace: Namespace, where: string): Finding[] {
  if (!isLocked(namespace)) return [];
  const enforced = namespace.labels[ENFORCED];
  if (enforced !== undefined && SAFE.has(enforced)) return [];
  return [finding("PodSecurityMissing", where, `label ${ENFORCED} is ${enforced ?? "not there"}`)];
}

function roomFindings(
  namespace: Namespace,
  { config }: Installation,
  limits: readonly ContainerLimit[],
  where: string,
): Finding[] {
  if (entryOf(namespace) === "pod") return [];
  const resources = fetcherResources(config.fetcher, null, limits);
  return isRefusal(resources) ? [finding("FetcherDoesNotFit", where, words(resources))] : [];
}

function words(refusal: Refusal): string {
  return sentence(refusal).replace(/^wasmount: /, "");
}

async function limitsByNamespace(
  objects: AsyncIterable<KubeObject>,
): Promise<ReadonlyMap<string, readonly ContainerLimit[]>> {
  const limits = new Map<string, readonly ContainerLimit[]>();
  for await (const object of objects) {
    const { namespace = "" } = object.metadata;
    limits.set(namespace, [...(limits.get(namespace) ?? []), ...readLimitRange(object)]);
  }
  return limits;
}
