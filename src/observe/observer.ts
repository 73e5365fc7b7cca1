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
      log[decision.outcome === "Denied" ? "warn" : "info"](line(decided), "decided");
      // Both sides skip the same pods: the second one has the last word.
      const said = decision.outcome === "Skipped" && decided.side === "mutate";
      if (pod !== null && !dryRun && answered && !said) announce(decision, pod, namespace);
    },
    failed(reviewed, error) {
      metrics.failed(reviewed.side, reviewed.seconds);
      const stack = error instanceof Error ? error.stack : undefined;
      const { side, entry, uid, namespace, seconds } = reviewed;
      const ms = milliseconds(seconds);
      log.error({ side, entry, uid, namespace, ms, error: messageOf(error), stack }, "internal error");
    },
    rejected(status, error) {
      metrics.rejected(status);
      log.warn({ status, means: STATUS_CODES[status], error: messageOf(error) }, "rejected a request");
    },
  };
}

/** What is undefined is left out of the line. One literal: this is made for every review. */
function line({ side, entry, uid, namespace, seconds, pod, dryRun, answered, decision }: Decided): object {
  const injected = decision.outcome === "Injected" ? decision : undefined;
  return {
    side,
    entry,
    uid,
    namespace,
    ms: milliseconds(seconds),
    pod: pod && nameOf(pod),
    dryRun,
    answered: answered ? undefined : false,
    outcome: decision.outcome,
    reason: decision.reason,
    detail: decision.detail,
    cause: "cause" in decision ? decision.cause : undefined,
    plan: "planHash" in decision ? decision.planHash : undefined,
    operations: injected?.patch.length,
    policies: injected && unlessEmpty(injected.policies),
    audit: injected && unlessEmpty(injected.audit),
  };
}

function nameOf({ metadata: { name, generateName = "" } }: Pod): string {
  return name ?? `${generateName}*`;
}

function unlessEmpty(texts: readonly string[]): readonly string[] | undefined {
  return texts.length > 0 ? texts : undefined;
}

function milliseconds(seconds: number): number {
  return Math.round(seconds * 1e6) / 1e3;
}
