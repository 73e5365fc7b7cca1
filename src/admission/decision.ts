import type { Reason } from "../decision/reason.ts";
import type { Operation } from "../patch/operation.ts";
import type { Plan } from "../plan/plan.ts";

/**
 * Reasons why a pod is left without the filters that its namespace asks for, because of something that its author may not
 * have thought of. Who opts out knows it, and a namespace may well have pods without filters: that would be noise.
 */
const SURPRISES: ReadonlySet<Reason> = new Set(["HostNetwork", "WindowsPod"]);

/** Whether a pod is skipped in a way that its author is to hear of. */
export function isSurprise({ outcome, reason }: Pick<Decision, "outcome" | "reason">): boolean {
  return outcome === "Skipped" && SURPRISES.has(reason);
}

/**
 * What is to become of a pod. The mutating side says `Injected`, `Deferred` (another webhook is expected to add the
 * proxy, and then we are called again) or `Skipped`; the validating side `Verified` or `Skipped`; both `Denied`.
 * An internal error is none of these: it is thrown, and follows the webhook's failure policy.
 */
export type Decision =
  | {
      readonly outcome: "Injected";
      readonly reason: "Injected";
      readonly detail: string;
      readonly plan: Plan;
      /** The plan's hash, 64 hex digits. */
      readonly planHash: string;
      readonly patch: readonly Operation[];
      readonly warnings: readonly string[];
      /** "auth:WasmPolicy/release=Passed" for each filter and each policy that is for its image. */
      readonly policies: readonly string[];
      /** What policies noted for the operator's log alone. */
      readonly audit: readonly string[];
    }
  | {
      readonly outcome: "Verified";
      readonly reason: "Verified";
      readonly detail: string;
      readonly plan: Plan;
      readonly planHash: string;
    }
  | { readonly outcome: "Deferred" | "Skipped"; readonly reason: Reason; readonly detail: string }
  | {
      readonly outcome: "Denied";
      readonly reason: Reason;
      readonly detail: string;
      /** What the operator's log may know and the pod's author may not. */
      readonly cause?: string;
    };
