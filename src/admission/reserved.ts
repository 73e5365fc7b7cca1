import { isDeepStrictEqual } from "node:util";
import { FETCHER_NAME } from "../dataplanes/data-plane.ts";
import { type Refusal, refuse } from "../decision/refusal.ts";
import type { Container, Pod, Volume, VolumeMount } from "../kube/pod.ts";

/**
 * Refuses what a pod does with names that are ours: a volume of such a name that is not the one we add, and a mount of
 * one anywhere but where we put it. Another container that could write to the volume could change what was verified.
 * @param volumes the volumes that we add
 * @param proxy the proxy's container, and the mounts that we give it
 */
export function refuseReserved(
  pod: Pod,
  volumes: readonly Volume[],
  proxy: { readonly container: Container; readonly mounts: readonly VolumeMount[] },
): Refusal | null {
  for (const ours of volumes) {
    const theirs = pod.spec.volumes?.find(({ name }) => name === ours.name);
    if (theirs !== undefined && !isDeepStrictEqual(theirs, ours)) {
      return refuse("NameReserved", `the pod has a volume ${ours.name} of its own: call it otherwise`);
    }
  }
  const names = new Set(volumes.map(({ name }) => name));
  for (const container of [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]) {
    if (container.name === FETCHER_NAME) continue;
    const allowed = container === proxy.container ? proxy.mounts : [];
    const stray = container.volumeMounts?.find(
      mount => names.has(mount.name) && !allowed.some(ours => isDeepStrictEqual(mount, ours)),
    );
    if (stray) {
      return refuse("NameReserved", `container ${container.name} mounts volume ${stray.name} at ${stray.mountPath}`);
    }
  }
  return null;
}
