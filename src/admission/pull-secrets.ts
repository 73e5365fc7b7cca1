import { PULL_SECRETS_VOLUME_NAME } from "../dataplanes/data-plane.ts";
import { isDnsSubdomain } from "../kube/dns-label.ts";
import type { Pod, Volume, VolumeMount } from "../kube/pod.ts";
import type { PlanPullSecrets } from "../plan/plan.ts";

/** How the pod's pull secrets reach the fetcher: a volume that it alone mounts, and what the plan says of it. */
export interface PullSecrets {
  readonly plan: PlanPullSecrets;
  readonly volume: Volume;
  readonly mount: VolumeMount;
}

/**
 * The pull secrets for the fetcher: the one that an annotation names, else the pod's own (to which the API server has
 * already added its ServiceAccount's). The kubelet's own use of them doesn't reach our process. The API server lets any
 * text pass for a name here; what no Secret can be called is left out, as the kubelet passes over what isn't there.
 * @param root path of the shared volume, beside which they are mounted
 * @returns null where there are none
 */
export function pullSecrets(pod: Pod, chosen: string | null, root: string): PullSecrets | null {
  const own = (pod.spec.imagePullSecrets ?? []).flatMap(({ name }) => (name && isDnsSubdomain(name) ? [name] : []));
  const names = chosen === null ? [...new Set(own)] : [chosen];
  if (names.length === 0) return null;
  const folder = `${root}-pull-secrets`;
  return {
    plan: { folder, names },
    volume: {
      name: PULL_SECRETS_VOLUME_NAME,
      // One source each, and none of them required: a name without a Secret would keep the pod from starting.
      projected: { sources: names.flatMap(sourcesOf), defaultMode: 0o444 },
    },
    mount: { name: PULL_SECRETS_VOLUME_NAME, mountPath: folder, readOnly: true },
  };
}

/** A Secret has one of two types, and naming a key that it lacks fails only where the source is not optional. */
function sourcesOf(name: string, index: number) {
  const source = (key: string, path: string) => ({ secret: { name, items: [{ key, path }], optional: true } });
  return [source(".dockerconfigjson", `${index}.json`), source(".dockercfg", `${index}.legacy.json`)];
}
