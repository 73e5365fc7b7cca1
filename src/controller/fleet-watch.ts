import type { ApiServer } from "../kube/api-server.ts";
import { CollectionWatch, type Interruption, WATCH_SETTINGS, type WatchSettings } from "../kube/collection-watch.ts";
import type { EventContent } from "../kube/event.ts";
import type { Telling } from "../kube/event-recorder.ts";
import { Fleet, type FleetCounts } from "./fleet.ts";
import { eventsOf } from "./fleet-events.ts";
import { type InjectedPod, injectedPodKind, isSameRun } from "./injected-pod.ts";
import type { Outcome } from "./termination.ts";
import type { Vouch } from "./vouched-plan.ts";

export interface FleetWatchDependencies {
  readonly server: ApiServer;
  /** Which pods, such as "wasmount.dev/injected=true". */
  readonly labelSelector: string;
  readonly vouch: Vouch;
  readonly reports: FleetReports;
  readonly settings?: WatchSettings;
  /** Milliseconds of a clock that never goes back, and since 1970. */
  readonly monotonic: () => number;
  readonly wall: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

export interface FleetReports {
  /** A fetcher ended, while this watch was there to see it. */
  terminated(outcome: Outcome): void;
  /** People are to be told. */
  tell(content: EventContent, telling: Telling): void;
  interrupted(reason: Interruption): void;
}

/** A list of all pods is long, and what it corrects is seldom wrong. */
export const FLEET_SETTINGS: WatchSettings = { ...WATCH_SETTINGS, relistMs: 3_600_000, items: 200_000 };

/**
 * What had ended before this watch began is told if it ended so long ago or less: by then whoever led before told it, and
 * its Event, which lives for an hour, is there to be found. Wide enough for clocks of nodes that are off by minutes.
 */
const RECENT_MS = 600_000;

/**
 * Watches all injected pods whole: what their fetchers came to, as sums and as Events.
 *
 * Nothing is told twice, whoever watches: Events have names of their own making, so that a second one is refused. What was
 * found at the beginning is not counted as having happened, since whoever led before counted it.
 */
export class FleetWatch {
  readonly #given: FleetWatchDependencies;
  readonly #fleet = new Fleet();
  readonly #watch: CollectionWatch<InjectedPod>;

  constructor(given: FleetWatchDependencies) {
    this.#given = given;
    const { server, labelSelector, vouch, reports, settings = FLEET_SETTINGS, monotonic, random, sleep } = given;
    this.#watch = new CollectionWatch<InjectedPod>({
      server,
      path: "/api/v1/pods",
      labelSelector,
      kind: injectedPodKind(vouch),
      changed: (before, after) => this.#changed(before, after),
      settings,
      interrupted: reports.interrupted,
      now: monotonic,
      random,
      sleep,
    });
  }

  /** null until all pods were listed. */
  get counts(): FleetCounts | null {
    return this.#watch.synced ? this.#fleet.counts : null;
  }

  close(): Promise<void> {
    return this.#watch.close();
  }

  #changed(before: InjectedPod | undefined, after: InjectedPod | undefined): void {
    this.#fleet.changed(before, after);
    if (after === undefined || after.plan === null || after.last === null) return;
    if (before?.uid === after.uid && isSameRun(before.last, after.last)) return;
    const found = !this.#watch.synced;
    if (!found) this.#given.reports.terminated(after.last.outcome);
    if (found && !this.#isRecent(after.last.finishedAt)) return;
    for (const { content, telling } of eventsOf(after)) this.#given.reports.tell(content, telling);
  }

  #isRecent(finishedAt: number | null): boolean {
    return finishedAt !== null && Math.abs(this.#given.wall() - finishedAt) <= RECENT_MS;
  }
}
