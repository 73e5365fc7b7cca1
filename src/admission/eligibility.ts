import type { Reason } from "../decision/reason.ts";
import { isRefusal, type OrRefusal, refuse } from "../decision/refusal.ts";
import type { Namespace } from "../kube/namespace.ts";
import type { Pod } from "../kube/pod.ts";
import { INJECT } from "./key.ts";
import { isLocked, readSwitch } from "./switch.ts";

/** Whether filters are to be looked for at all, or why the pod is left as it is. */
export type Eligibility =
  | { readonly kind: "eligible" }
  | { readonly kind: "skipped"; readonly reason: Reason; readonly detail: string };

/** By this annotation a kubelet marks the object that mirrors a static pod. */
const MIRROR = "kubernetes.io/config.mirror";
const OS = "kubernetes.io/os";

/**
 * Reads the switch, and what of the pod stands against injection. What a namespace asks of all its pods is left out
 * where it can't be had; what the pod itself asks for is refused, and where filters are locked all of it is.
 */
export function readEligibility(pod: Pod, namespace: Namespace): OrRefusal<Eligibility> {
  // Before anything else: the kubelet runs a static pod anyway, and only its mirror could be refused.
  if (pod.metadata.annotations?.[MIRROR] !== undefined) return skipped("MirrorPod");
  const state = readSwitch(pod, namespace);
  if (isRefusal(state)) return state;
  if (state === "opted-out") return skipped("OptedOut");
  if (state === "off") return skipped("NotSwitchedOn");
  const locked = isLocked(namespace);
  const own = pod.metadata.labels?.[INJECT] === "true";
  const where = locked ? `namespace ${namespace.name} is locked` : `the pod has the label ${INJECT}=true`;
  if (isWindows(pod)) {
    return locked || own ? refuse("WindowsPod", where) : skipped("WindowsPod");
  }
  if (pod.spec.hostNetwork === true) {
    if (locked) return refuse("HostNetwork", where);
    if (!own) return skipped("HostNetwork", `label the pod ${INJECT}=true to filter it all the same`);
  }
  return { kind: "eligible" };
}

function isWindows({ spec }: Pod): boolean {
  return (spec.os?.name ?? spec.nodeSelector?.[OS]) === "windows";
}

function skipped(reason: Reason, detail = ""): Eligibility {
  return { kind: "skipped", reason, detail };
}
