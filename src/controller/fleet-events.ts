import { createHash } from "node:crypto";
import type { EventContent } from "../kube/event.ts";
import type { Telling } from "../kube/event-recorder.ts";
import type { InjectedPod, LastRun } from "./injected-pod.ts";
import type { FleetPlan } from "./vouched-plan.ts";

/** An Event, with the name that it has whoever writes it: who comes second finds it there. */
export interface FleetEvent {
  readonly content: EventContent;
  readonly telling: Telling;
}

/**
 * What people are told of the last run of a pod's fetcher: that filters are mounted, and that some are not. A fetcher that
 * was told to end with its pod is no news.
 */
export function eventsOf(pod: InjectedPod): FleetEvent[] {
  const { plan, last } = pod;
  if (plan === null || last === null || last.outcome === "Cancelled") return [];
  const failed = last.outcome !== "Mounted" || last.inPlace < plan.filters.length;
  return [
    ...(last.inPlace > 0 ? [event(pod, "Normal", "FilterMounted", mountedNote(plan, last), "", 1)] : []),
    ...(failed ? [failure(pod, last)] : []),
  ];
}

function failure(pod: InjectedPod, last: LastRun): FleetEvent {
  const note = last.problem === "" ? "the fetcher ended well without all modules that the plan names" : last.problem;
  // How often is told by the pod itself, whoever leads: runs that failed and were repeated.
  return event(pod, "Warning", "FilterFetchFailed", note, note, last.run + 1);
}

function mountedNote({ filters }: FleetPlan, { inPlace, bytes, seconds }: LastRun): string {
  const all = inPlace === filters.length;
  const what = all ? filters.map(({ name, digest }) => `${name}@${digest}`).join(", ") : `see the fetcher's log`;
  const count = `${inPlace}${all ? "" : ` of ${filters.length}`} filter${filters.length === 1 ? "" : "s"}`;
  const amounts = bytes === null || seconds === null ? "" : ` (${bytes} bytes in ${seconds} s)`;
  return `${count}${amounts}: ${what}`;
}

/** @param apart what tells this Event from others of the pod with the same reason */
function event(
  { name, namespace, uid }: InjectedPod,
  type: EventContent["type"],
  reason: string,
  note: string,
  apart: string,
  count: number,
): FleetEvent {
  const regarding = { apiVersion: "v1", kind: "Pod", name, namespace, uid };
  const suffix = createHash("sha256")
    .update(JSON.stringify([uid, reason, apart]))
    .digest("hex")
    .slice(0, 16);
  return { content: { regarding, type, reason, action: "Mount", note }, telling: { suffix, count } };
}
