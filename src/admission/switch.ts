import { type OrRefusal, refuse } from "../decision/refusal.ts";
import type { Namespace } from "../kube/namespace.ts";
import type { Pod } from "../kube/pod.ts";
import { INJECT, LOCKED } from "./key.ts";
import { quote } from "./written.ts";

/** Whether a namespace's filters are locked. */
export function isLocked(namespace: Namespace): boolean {
  return namespace.labels[LOCKED] === "true";
}

/** Whether injection is switched on: a locked namespace decides alone, else the pod's label wins over the namespace's. */
export function readSwitch(pod: Pod, namespace: Namespace): OrRefusal<"on" | "off" | "opted-out"> {
  const own = pod.metadata.labels?.[INJECT];
  const inherited = namespace.labels[INJECT];
  const switches: readonly [label: string, value: string | undefined, where: string][] = [
    [INJECT, own, "the pod"],
    [INJECT, inherited, `namespace ${namespace.name}`],
    [LOCKED, namespace.labels[LOCKED], `namespace ${namespace.name}`],
  ];
  for (const [label, value, where] of switches) {
    if (value !== undefined && value !== "true" && value !== "false") {
      return refuse("BadSwitch", `label ${label}=${quote(value)} on ${where}: "true" and "false" are allowed`);
    }
  }
  if (isLocked(namespace)) {
    return own === "false"
      ? refuse("Locked", `label ${INJECT}=false on the pod: namespace ${namespace.name} is locked`)
      : "on";
  }
  if (own === "false") return "opted-out";
  return own === "true" || inherited === "true" ? "on" : "off";
}
