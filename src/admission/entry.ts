import type { Namespace } from "../kube/namespace.ts";
import { INJECT, LOCKED } from "./key.ts";

/** The two webhooks: before and after everybody else has changed the pod. */
export const sides = ["mutate", "validate"] as const;
export type Side = (typeof sides)[number];

/** The webhook entries, one path each. Their selectors (charts/wasmount/templates/_entries.tpl) let at most one match a pod. */
export const entries = ["locked", "namespace", "pod"] as const;
export type Entry = (typeof entries)[number];

/**
 * The entry whose namespace selector matches, whatever the pod says: a call by another one tells that the API server
 * knows other labels than we do.
 */
export function entryOf({ labels }: Namespace): Entry {
  if (isOn(labels[LOCKED])) return "locked";
  return isOn(labels[INJECT]) ? "namespace" : "pod";
}

/** `Exists` and `NotIn [false]`: a value that is junk calls us, to be refused. */
function isOn(label: string | undefined): boolean {
  return label !== undefined && label !== "false";
}
