import { FETCHER_NAME, PULL_SECRETS_VOLUME_NAME } from "../dataplanes/data-plane.ts";
import { isDnsSubdomain } from "../kube/dns-label.ts";
import type { Pod, Volume, VolumeMount } from "../kube/pod.ts";
import type { PlanPullSecrets } from "../plan/plan.ts";

/** How the pod's pull secrets reach the fetcher: a volume that it alone mounts, and what the plan says of it. */
export interface PullSecrets {
  readonly plan: PlanPullSecrets;
  readonly volume: Volume;
  readonly mount: VolumeMount;
}

/** What is decided before a pod is looked at. */
export interface PullSecretTerms {
  /** By the annotation of the pod's author; null where there is none. */
  readonly chosen: string | null;
  /** The operator's, for the fetcher's image. */
  readonly forImage: readonly string[];
  /** Path of the shared volume, beside which they are mounted. */
  readonly root: string;
}

/**
 * The pull secrets for the fetcher: the one that an annotation names, else the pod's own (to which the API server has
 * already added its ServiceAccount's). The kubelet's own use of them doesn't reach our process. The API server lets any
 * text pass for a name here; what no Secret can be called is left out, as the kubelet passes over what isn't there.
 * @returns null where there are none
 */
export function pullSecrets(pod: Pod, { chosen, forImage, root }: PullSecretTerms): PullSecrets | null {
  const names = chosen === null ? ownNames(pod, forImage) : [chosen];
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

/**
 * The names that the pod's author wrote. An earlier pass has added the operator's to them, which are for the fetcher's image
 * and not for modules. Which of these the author had written, too, that pass left in the volume that it made.
 */
function ownNames(pod: Pod, forImage: readonly string[]): readonly string[] {
  const listed = (pod.spec.imagePullSecrets ?? []).flatMap(({ name }) => (name && isDnsSubdomain(name) ? [name] : []));
  const names = [...new Set(listed)];
  const passed = pod.spec.initContainers?.some(({ name }) => name === FETCHER_NAME) === true;
  if (!passed || forImage.length === 0) return names;
  const earlier = earlierNames(pod);
  return names.filter(name => !forImage.includes(name) || earlier.has(name));
}

/** Anybody may have written that volume, of any shape; its author could as well have written the names. */
function earlierNames({ spec }: Pod): ReadonlySet<string> {
  const volume = spec.volumes?.find(({ name }) => name === PULL_SECRETS_VOLUME_NAME);
  const { sources } = (volume?.["projected"] ?? {}) as { readonly sources?: unknown };
  if (!Array.isArray(sources)) return new Set();
  return new Set(sources.map(source => String(source?.secret?.name ?? "")));
}

/** A Secret has one of two types, and naming a key that it lacks fails only where the source is not optional. */
function sourcesOf(name: string, index: number) {
  const source = (key: string, path: string) => ({ secret: { name, items: [{ key, path }], optional: true } });
  return [source(".dockerconfigjson", `${index}.json`), source(".dockercfg", `${index}.legacy.json`)];
}
