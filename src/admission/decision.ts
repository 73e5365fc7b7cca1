import type { Reason } from "../decision/reason.ts";
import type { Operation } from "../patch/operation.ts";
import type { Plan } from "../plan/plan.ts";

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
    }
  | { readonly outcome: "Verified"; readonly reason: "Verified"; readonly detail: string; readonly planHash: string }
  | { readonly outcome: "Deferred" | "Skipped"; readonly reason: Reason; readonly detail: string }
  | {
      readonly outcome: "Denied";
      readonly reason: Reason;
      readonly detail: string;
      /** What the operator's log may know and the pod's author may not. */
      readonly cause?: string;
    };
