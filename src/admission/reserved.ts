import { isDeepStrictEqual } from "node:util";
import { FETCHER_NAME, isOurVolume } from "../dataplanes/data-plane.ts";
import { type Refusal, refuse } from "../decision/refusal.ts";
import type { Namespace } from "../kube/namespace.ts";
import { type Container, controllerOf, type Pod, type VolumeMount } from "../kube/pod.ts";
import { PlanError } from "../plan/error.ts";
import { type PlanKeys, verifyPlan } from "../plan/signature.ts";
import { planFromEnvironment, SIGNATURE } from "../plan/transport.ts";

/**
 * Refuses a mount of our volumes anywhere but where we put it: another container that could write to them could change
 * what was verified.
 * @param proxy the proxy's container, and the mounts that we give it
 */
export function refuseMounts(
  pod: Pod,
  proxy: { readonly container: Container; readonly mounts: readonly VolumeMount[] },
): Refusal | null {
  for (const container of [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]) {
    if (container.name === FETCHER_NAME) continue;
    const allowed = container === proxy.container ? proxy.mounts : [];
    const stray = container.volumeMounts?.find(
      mount => isOurVolume(mount.name) && !allowed.some(ours => isDeepStrictEqual(mount, ours)),
    );
    if (stray) {
      return refuse("NameReserved", `container ${container.name} mounts volume ${stray.name} at ${stray.mountPath}`);
    }
  }
  const outside = pod.spec.containers.findIndex(({ name }) => name === FETCHER_NAME);
  if (outside < 0) return null;
  return refuse("NameReserved", `spec.containers[${outside}] is called ${FETCHER_NAME}: call it otherwise`);
}

/**
 * Refuses a fetcher and volumes under our names that no earlier pass of ours put there. Elsewhere they are replaced;
 * where filters are locked, an author who writes them is after something.
 */
export function refuseForeign(pod: Pod, namespace: Namespace, keys: PlanKeys): Refusal | null {
  const fetcher = pod.spec.initContainers?.find(({ name }) => name === FETCHER_NAME);
  const volume = pod.spec.volumes?.find(({ name }) => isOurVolume(name));
  if (fetcher === undefined && volume === undefined) return null;
  if (fetcher !== undefined && isOurs(fetcher, pod, namespace, keys)) return null;
  const found = fetcher === undefined ? `a volume ${volume?.name}` : `an init container ${FETCHER_NAME}`;
  return refuse("NameReserved", `the pod has ${found} of its own, and namespace ${namespace.name} is locked`);
}

/** Whether the fetcher's plan is one of ours for this pod. Without keys, whether it is whole. */
function isOurs(fetcher: Container, pod: Pod, namespace: Namespace, keys: PlanKeys): boolean {
  const environment = Object.fromEntries((fetcher.env ?? []).map(({ name, value }) => [name, value]));
  try {
    const { hash } = planFromEnvironment(environment);
    const signed = { hash, namespace: namespace.name, owner: controllerOf(pod.metadata) };
    if (keys.size > 0) verifyPlan(signed, environment[SIGNATURE] ?? "", keys);
    return true;
  } catch (error) {
    if (error instanceof PlanError) return false;
    throw error;
  }
}
