import { type Refusal, refuse } from "../decision/refusal.ts";

/**
 * Refuses locked namespaces to data planes whose proxies load filters by an object that admission does not watch: whoever may
 * take that object away would opt out of the filters, and nothing would tell.
 * @param object such as "an EnvoyPatchPolicy"
 */
export function refuseUnseen(locked: boolean, object: string): Refusal | null {
  if (!locked) return null;
  return refuse(
    "ProxyUnsupported",
    `the namespace is locked, and this proxy loads its filters by ${object} that wasmount does not watch: without it the pod would run unfiltered`,
  );
}
