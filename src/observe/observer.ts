import { STATUS_CODES } from "node:http";
import type { Decision } from "../admission/decision.ts";
import type { Entry, Side } from "../admission/entry.ts";
import { messageOf } from "../error.ts";
import type { Pod } from "../kube/pod.ts";
import type { Logger } from "./log.ts";
import type { Metrics } from "./metrics.ts";

/** One review that was asked for. */
export interface Reviewed {
  readonly side: Side;
  readonly entry: Entry;
  readonly uid: string;
  readonly namespace: string;
  readonly dryRun: boolean;
  /** From the review's arrival to its answer. */
  readonly seconds: number;
}

export interface Decided extends Reviewed {
  readonly decision: Decision;
  /** Null for what is no creation of a pod. */
  readonly pod: Pod | null;
  /** Whether its caller was there to have the answer. Else the decision was about an admission that never happened. */
  readonly answered: boolean;
}

/** Hears of everything that happens at the admission endpoint, after it was answered. */
export interface Observer {
  decided(decided: Decided): void;
  /** A review ended in an internal error and followed the failure policy. */
  failed(reviewed: Reviewed, error: unknown): void;
  /** A request was no readable review. */
  rejected(status: number, error: unknown): void;
}

/** Takes decisions to where people of the namespace see them; never called for a dry run, nor where nobody had the answer. */
export type Announce = (decision: Decision, pod: Pod, namespace: string) => void;

/** An observer that reports to log and metrics, and announces what came of an admission. */
export function observer(log: Logger, metrics: Metrics, announce: Announce): Observer {
  return {
    decided(decided) {
      const { decision, pod, namespace, dryRun, seconds, answered } = decided;
      metrics.decided(decided.side, decision, seconds);
      if (!answered) metrics.unanswered(decided.side);
      log[decision.outcome === "Denied" ? "warn" : "info"](
        {
          ...fields(decided),
          pod: pod && (pod.metadata.name ?? `${pod.metadata.generateName ?? ""}*`),
          dryRun,
          ...(!answered && { answered }),
          outcome: decision.outcome,
          reason: decision.reason,
          detail: decision.detail,
          ...("cause" in decision && { cause: decision.cause }),
          ...("planHash" in decision && { plan: decision.planHash }),
          ...(decision.outcome === "Injected" && injection(decision)),
        },
        "decided",
      );
      // Both sides skip the same pods: the second one has the last word.
      const said = decision.outcome === "Skipped" && decided.side === "mutate";
      if (pod !== null && !dryRun && answered && !said) announce(decision, pod, namespace);
    },
    failed(reviewed, error) {
      metrics.failed(reviewed.side, reviewed.seconds);
      const stack = error instanceof Error ? error.stack : undefined;
      log.error({ ...fields(reviewed), error: messageOf(error), stack }, "internal error");
    },
    rejected(status, error) {
      metrics.rejected(status);
      log.warn({ status, means: STATUS_CODES[status], error: messageOf(error) }, "rejected a request");
    },
  };
}

function injection({ patch, policies, audit }: Extract<Decision, { readonly outcome: "Injected" }>) {
  return {
    operations: patch.length,
    ...(policies.length > 0 && { policies }),
    ...(audit.length > 0 && { audit }),
  };
}

function fields({ side, entry, uid, namespace, seconds }: Reviewed) {
  return { side, entry, uid, namespace, ms: Math.round(seconds * 1e6) / 1e3 };
}
