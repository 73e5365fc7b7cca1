import { isDeepStrictEqual } from "node:util";
import type { ProxyChanges } from "../dataplanes/data-plane.ts";
import type { Container, ContainerList, Pod, PodSpec, Volume, VolumeMount } from "../kube/pod.ts";
import { type Operation, pointer } from "./operation.ts";

/** What an injected pod is to have. */
export interface PodChanges {
  readonly labels: Readonly<Record<string, string>>;
  /** Labels of the pod that it is not to have. */
  readonly unwantedLabels: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
  /** Volumes to have, each taking the place of one with the same name. */
  readonly volumes: readonly Volume[];
  /** Names of pull secrets to have among others. */
  readonly imagePullSecrets: readonly string[];
  /** The init container to have at index 0, and nowhere else. */
  readonly fetcher: Container;
  readonly proxy: { readonly list: ContainerList; readonly index: number; readonly changes: ProxyChanges };
}

/**
 * The operations that give a pod its changes: only the differences, so that a pod that has them all gets none.
 * Everything is said with the pod's own indexes, hence the order: the proxy before the init containers, since
 * inserting the fetcher moves a native sidecar.
 */
export function podPatch(pod: Pod, changes: PodChanges): Operation[] {
  return [
    ...mapPatch(["metadata", "labels"], pod.metadata.labels, changes.labels),
    ...changes.unwantedLabels.map(label => ({ op: "remove", path: pointer("metadata", "labels", label) }) as const),
    ...mapPatch(["metadata", "annotations"], pod.metadata.annotations, changes.annotations),
    ...listPatch(["spec", "volumes"], pod.spec.volumes, changes.volumes, volume => volume.name),
    ...pullSecretsPatch(pod.spec.imagePullSecrets, changes.imagePullSecrets),
    ...proxyPatch(pod, changes.proxy),
    ...fetcherPatch(pod.spec.initContainers, changes.fetcher),
  ];
}

function mapPatch(
  path: readonly string[],
  present: Readonly<Record<string, string>> | null | undefined,
  wanted: Readonly<Record<string, string>>,
): Operation[] {
  if (!present) return [{ op: "add", path: pointer(...path), value: wanted }];
  const operations: Operation[] = [];
  for (const [key, value] of Object.entries(wanted)) {
    if (present[key] === value) continue;
    operations.push({ op: key in present ? "replace" : "add", path: pointer(...path, key), value });
  }
  return operations;
}

/** Sets elements by their key; an absent list is added whole, since there is nothing to append to. */
function listPatch<Element>(
  path: readonly (string | number)[],
  present: readonly Element[] | null | undefined,
  wanted: readonly Element[],
  key: (element: Element) => string,
): Operation[] {
  if (wanted.length === 0) return [];
  if (!present) return [{ op: "add", path: pointer(...path), value: wanted }];
  const operations: Operation[] = [];
  for (const value of wanted) {
    const index = present.findIndex(element => key(element) === key(value));
    if (index < 0) operations.push({ op: "add", path: pointer(...path, "-"), value });
    else if (!isDeepStrictEqual(present[index], value)) {
      operations.push({ op: "replace", path: pointer(...path, index), value });
    }
  }
  return operations;
}

/** Those of the pod come first: the kubelet tries them in their order. */
function pullSecretsPatch(present: PodSpec["imagePullSecrets"], wanted: readonly string[]): Operation[] {
  const name = (secret: { readonly name?: string }) => secret.name ?? "";
  const secrets = wanted.map(one => ({ name: one }));
  return listPatch(["spec", "imagePullSecrets"], present, secrets, name);
}

function proxyPatch(pod: Pod, { list, index, changes }: PodChanges["proxy"]): Operation[] {
  const container = pod.spec[list]?.[index];
  const base = ["spec", list, index] as const;
  const mountPath = (mount: VolumeMount) => mount.mountPath;
  return [
    ...wordsPatch([...base, "command"], container?.command, changes.command),
    ...wordsPatch([...base, "args"], container?.args, changes.args),
    ...listPatch([...base, "volumeMounts"], container?.volumeMounts, changes.mounts, mountPath),
  ];
}

function wordsPatch(
  path: readonly (string | number)[],
  present: readonly string[] | null | undefined,
  wanted: readonly string[] | undefined,
): Operation[] {
  if (wanted === undefined || (present && isSameText(present, wanted))) return [];
  return [{ op: present ? "replace" : "add", path: pointer(...path), value: wanted }];
}

function isSameText(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((text, index) => text === others[index]);
}

function fetcherPatch(present: readonly Container[] | null | undefined, fetcher: Container): Operation[] {
  if (!present) return [{ op: "add", path: "/spec/initContainers", value: [fetcher] }];
  const [first, ...rest] = present;
  const strays = present
    .map((container, index) => ({ container, index }))
    .filter(({ container }) => container.name === fetcher.name);
  if (first?.name === fetcher.name && !rest.some(({ name }) => name === fetcher.name)) {
    return isDeepStrictEqual(first, fetcher) ? [] : [{ op: "replace", path: "/spec/initContainers/0", value: fetcher }];
  }
  // From the end, so that each removal leaves the indexes of those before it.
  const removals = strays
    .reverse()
    .map(({ index }) => ({ op: "remove", path: pointer("spec", "initContainers", index) }) as const);
  return [...removals, { op: "add", path: "/spec/initContainers/0", value: fetcher }];
}
