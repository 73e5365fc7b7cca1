import type { Reason } from "./reason.ts";

/** Why a pod is denied: the reason's code, and what was found, where, and what would be right. */
export interface Refusal {
  readonly refused: true;
  readonly reason: Reason;
  readonly detail: string;
  /** What the operator's log may know and the pod's author may not. */
  readonly cause?: string;
}

/** A value, or the refusal that took its place. */
export type OrRefusal<Value> = Value | Refusal;

export function refuse(reason: Reason, detail: string): Refusal {
  return { refused: true, reason, detail };
}

export function isRefusal(value: unknown): value is Refusal {
  return typeof value === "object" && value !== null && "refused" in value;
}
