import type { Reason } from "../decision/reason.ts";
import type { Operation } from "../patch/operation.ts";
import type { Plan } from "../plan/plan.ts";

/**
 * What is to become of a pod. `Deferred` (a mesh is expected to add the proxy) comes with the first mesh data plane.
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
  | { readonly outcome: "Skipped"; readonly reason: Reason; readonly detail: string }
  | {
      readonly outcome: "Denied";
      readonly reason: Reason;
      readonly detail: string;
      /** What the operator's log may know and the pod's author may not. */
      readonly cause?: string;
    };

export type Outcome = Decision["outcome"];
