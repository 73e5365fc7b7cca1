import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { aborted } from "../abort.ts";
import { INJECTED } from "../admission/key.ts";
import type { Config } from "../config/config.ts";
import { FleetWatch } from "../controller/fleet-watch.ts";
import { planVouching } from "../controller/vouched-plan.ts";
import { messageOf } from "../error.ts";
import type { ApiServer } from "../kube/api-server.ts";
import type { EventRecorder } from "../kube/event-recorder.ts";
import { LeaderElection } from "../kube/leader-election.ts";
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { PlanKeys } from "../plan/signature.ts";
import type { PolicySource } from "../policies/cluster-policies.ts";

/** What one replica at a time does beside its webhook. */
export interface Control {
  /** Ends it, and lets another replica begin. */
  close(): Promise<void>;
}

export interface ControlOptions {
  readonly server: ApiServer;
  readonly config: Pick<Config, "controller" | "pins">;
  /** Whose signatures count; empty where plans are not signed, null where that is not known yet. */
  readonly keys: () => PlanKeys | null;
  readonly policies: Pick<PolicySource, "keepStatuses">;
  /** Makes a recorder of Events for one term; null where there are to be none. */
  readonly recorder: (() => EventRecorder) | null;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/**
 * Takes part in the election of the one replica that watches all injected pods and writes the statuses of policies.
 * Whatever becomes of it, decisions and readiness don't depend on it: it fails by itself, and begins again.
 */
export function openControl({ server, config, keys, policies, recorder, log, metrics }: ControlOptions): Control {
  const identity = `${hostname()}_${randomBytes(8).toString("hex")}`;
  const vouch = planVouching(keys);
  let fleet: FleetWatch | null = null;

  async function watchFleet(signal: AbortSignal): Promise<void> {
    const events = recorder?.() ?? null;
    const watch = new FleetWatch({
      server,
      labelSelector: `${INJECTED}=true`,
      vouch,
      reports: {
        terminated: metrics.fetcherTerminated,
        tell: (content, telling) => events?.record(content, telling),
        interrupted: reason => metrics.interrupted("fleet", reason),
      },
      monotonic: () => performance.now(),
      wall: () => Date.now(),
      random: Math.random,
      sleep: (milliseconds, ending) => sleep(milliseconds, undefined, { signal: ending }),
    });
    fleet = watch;
    await aborted(signal);
    fleet = null;
    await Promise.all([watch.close(), events?.close()]);
  }

  const election = new LeaderElection({
    server,
    place: { namespace: config.pins.namespace, name: config.controller.lease },
    identity,
    async lead(signal) {
      await Promise.all([watchFleet(signal), policies.keepStatuses(signal)]);
    },
    reports: {
      began: () => log.info({ identity }, "leads"),
      ended: why => log.info({ identity, why }, "leads no longer"),
      failed: error => log.warn({ error: messageOf(error), lease: config.controller.lease }, "can't elect a leader"),
    },
    monotonic: () => performance.now(),
    wall: () => Date.now(),
    random: Math.random,
    sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
  });
  metrics.watchFleet(
    () => election.leading,
    () => fleet?.counts ?? null,
  );
  return { close: () => election.close() };
}
