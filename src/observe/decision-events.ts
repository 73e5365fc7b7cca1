import { type Decision, isSurprise } from "../admission/decision.ts";
import { sentence, warning } from "../admission/response.ts";
import { DNS_LABEL, isDnsSubdomain } from "../kube/dns-label.ts";
import type { EventContent, EventSubject } from "../kube/event.ts";
import type { OwnerReference, Pod } from "../kube/pod.ts";

const ACTIONS = { Injected: "Inject", Deferred: "Wait", Denied: "Deny", Skipped: "Skip" } as const;

/**
 * The Event that tells the people of a namespace what became of a pod; null where nothing did. It is about the pod's
 * controlling owner: a pod that is denied never comes to be, and thousands from one template are one thing.
 */
export function eventOf(decision: Decision, pod: Pod, namespace: string): EventContent | null {
  const { outcome, reason } = decision;
  if (outcome === "Verified" || (outcome === "Skipped" && !isSurprise(decision))) return null;
  return {
    regarding: ownerOf(pod, namespace) ?? { apiVersion: "v1", kind: "Namespace", name: namespace, namespace },
    type: outcome === "Denied" || outcome === "Skipped" ? "Warning" : "Normal",
    reason,
    action: ACTIONS[outcome],
    note: outcome === "Skipped" ? warning(decision) : sentence(decision),
  };
}

/** Its author wrote the reference: one that no object can have is none. */
function ownerOf({ metadata }: Pod, namespace: string): EventSubject | null {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (owner === undefined || !isPlausible(owner)) return null;
  const { apiVersion, kind, name, uid } = owner;
  return { apiVersion, kind, name, uid, namespace };
}

function isPlausible(owner: OwnerReference): owner is Required<OwnerReference> {
  const { apiVersion, kind, name, uid } = owner;
  const [version = "", group, ...more] = (apiVersion ?? "").split("/").reverse();
  return (
    more.length === 0 &&
    DNS_LABEL.test(version) &&
    (group === undefined || isDnsSubdomain(group)) &&
    /^[A-Za-z][A-Za-z0-9]{0,62}$/.test(kind ?? "") &&
    isDnsSubdomain(name ?? "") &&
    /^[A-Za-z0-9-]{1,128}$/.test(uid)
  );
}
