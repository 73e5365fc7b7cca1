import { setTimeout as sleep } from "node:timers/promises";
import type { KubeConfig } from "@kubernetes/client-node";
import { apiServer } from "../kube/api-server.ts";
import { CollectionWatch, doubtAbout, type Interruption, type WatchSettings } from "../kube/collection-watch.ts";
import { KubeError } from "../kube/error.ts";
import type { Watched, WatchedKind } from "../kube/watched-kind.ts";

/** Times in milliseconds. */
export type AttachingWatchSettings = WatchSettings & {
  /** How long ago the API server may have confirmed what is held. */
  readonly staleMs: number;
};

export interface AttachingWatchOptions<Held extends Watched> {
  /** For messages: "EnvoyFilters". */
  readonly plural: string;
  /** Of the collection, as in the API. */
  readonly path: string;
  readonly kind: WatchedKind<Held>;
  readonly labelSelector?: string;
  /** Hears of every change to what is held. */
  readonly changed?: (before: Held | undefined, after: Held | undefined) => void;
  readonly settings: AttachingWatchSettings;
  readonly interrupted: (reason: Interruption) => void;
}

/** Objects of a mesh that attach filters to its proxies, held current. */
export interface AttachingWatch<Held extends Watched> {
  /**
   * The object of a name, "namespace/name".
   * @throws KubeError Unreachable, where what is held may be out of date
   */
  get(name: string): Held | undefined;
  /**
   * Whether the API server knows no objects of this kind: the mesh is not there, and none of them is.
   * @throws KubeError Unreachable, like get
   */
  isUnknown(): boolean;
  /** Why the objects can't be told now, or null while they can. */
  doubt(): string | null;
  /** Whether the objects were ever listed. */
  readonly listed: () => boolean;
  /** Why the objects can't be told now, but null, too, where they may not be read: pods of other data planes are decided about all the same. */
  notReady(): string | null;
  /** Whether it is known what there is, be it that there is no such kind. */
  readonly synced: () => boolean;
  /** Seconds since the API server last confirmed what is held; null where it never did, or knows no such kind. */
  readonly contactSeconds: () => number | null;
  close(): Promise<void>;
}

export function attachingWatch<Held extends Watched>(
  kubeConfig: KubeConfig,
  { plural, settings, ...options }: AttachingWatchOptions<Held>,
): AttachingWatch<Held> {
  const watch = new CollectionWatch<Held>({
    ...options,
    settings,
    server: apiServer(kubeConfig),
    now: () => performance.now(),
    random: Math.random,
    sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
  });
  const doubt = () => (watch.unknown ? null : doubtAbout(plural, watch, settings.staleMs));
  const certain = () => {
    const reason = doubt();
    if (reason !== null) throw new KubeError("Unreachable", `can't tell which ${plural} there are: ${reason}`);
  };
  return {
    get(name) {
      certain();
      return watch.unknown ? undefined : watch.get(name);
    },
    isUnknown() {
      certain();
      return watch.unknown;
    },
    doubt,
    notReady: () => (watch.lastInterruption === "Refused" ? null : doubt()),
    listed: () => watch.synced,
    synced: () => watch.synced || watch.unknown,
    contactSeconds: () => (watch.contactAge === null || watch.unknown ? null : watch.contactAge / 1000),
    close: () => watch.close(),
  };
}
