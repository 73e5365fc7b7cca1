import { setTimeout as sleep } from "node:timers/promises";
import type { KubeConfig } from "@kubernetes/client-node";
import type { SlotState } from "../dataplanes/istio.ts";
import { ENVOY_FILTER_API, isSlotFilter, SLOT_OBJECT_LABEL, slotFilters } from "../dataplanes/istio-slots.ts";
import { apiServer } from "../kube/api-server.ts";
import {
  CollectionWatch,
  doubtAbout,
  type Interruption,
  WATCH_SETTINGS,
  type WatchSettings,
} from "../kube/collection-watch.ts";
import { KubeError } from "../kube/error.ts";
import { members, text, type Watched, type WatchedKind } from "../kube/watched-kind.ts";

/** How the EnvoyFilters of slots stand in the cluster. */
export interface SlotWatch {
  /** @throws KubeError Unreachable, where what is held may be out of date */
  state(slot: string): SlotState;
  /** Why slots can't be told now, or null while they can, or where the cluster has no EnvoyFilters. */
  notReady(): string | null;
  /** How many of the slots that are asked for stand how; null while that can't be told. */
  readonly count: () => Readonly<Record<SlotState, number>> | null;
  readonly synced: () => boolean;
  /** Seconds since the API server last confirmed what is held; null where it never did. */
  readonly contactSeconds: () => number | null;
  close(): Promise<void>;
}

export interface SlotWatchOptions {
  /** Istio's root namespace. */
  readonly rootNamespace: string;
  /** Where the volume is mounted in the proxy. */
  readonly root: string;
  /** Filters that a pod may have in each phase of each direction. */
  readonly slots: number;
  readonly interrupted: (reason: Interruption) => void;
  readonly settings?: WatchSettings & { readonly staleMs: number };
}

/** At most 3 directions × 2 phases × 99 slots, and the guard. */
export const SLOT_SETTINGS = { ...WATCH_SETTINGS, staleMs: 60_000, pageBytes: 16 * 1024 * 1024, items: 1_000 };

interface WatchedSlot extends Watched {
  /** Whether it is what wasmount installs. */
  readonly isOurs: boolean;
}

/** Holds the EnvoyFilters of slots current. One that was changed counts as little as one that is missing. */
export function slotWatch(kubeConfig: KubeConfig, options: SlotWatchOptions): SlotWatch {
  const { rootNamespace, root, slots, interrupted, settings = SLOT_SETTINGS } = options;
  const watch = new CollectionWatch<WatchedSlot>({
    server: apiServer(kubeConfig),
    path: `/apis/${ENVOY_FILTER_API}/namespaces/${rootNamespace}/envoyfilters`,
    kind: slotKind(rootNamespace, root),
    labelSelector: SLOT_OBJECT_LABEL,
    settings,
    interrupted,
    now: () => performance.now(),
    random: Math.random,
    sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
  });
  const names = slotFilters(rootNamespace, slots, root).map(({ metadata }) => metadata.name);
  const standing = (name: string): SlotState => {
    const held = watch.get(`${rootNamespace}/${name}`);
    return held === undefined ? "Missing" : held.isOurs ? "Installed" : "Altered";
  };
  const doubt = () => doubtAbout("EnvoyFilters", watch, settings.staleMs);
  return {
    state(slot) {
      const reason = doubt();
      if (reason !== null) throw new KubeError("Unreachable", `can't tell which slots are installed: ${reason}`);
      return standing(`wasmount-${slot}`);
    },
    count() {
      if (doubt() !== null) return null;
      const counts = { Installed: 0, Missing: 0, Altered: 0 };
      for (const name of names) counts[standing(name)] += 1;
      return counts;
    },
    // Pods of other data planes are decided about all the same where Istio is not there yet.
    notReady: () => (watch.lastInterruption === "Refused" ? null : doubt()),
    synced: () => watch.synced,
    contactSeconds: () => (watch.contactAge === null ? null : watch.contactAge / 1000),
    close: () => watch.close(),
  };
}

function slotKind(namespace: string, root: string): WatchedKind<WatchedSlot> {
  return {
    list: "EnvoyFilterList",
    accept: { list: "application/json", watch: "application/json" },
    read(object) {
      const content = members(object, "an EnvoyFilter");
      const metadata = members(content.metadata, "an EnvoyFilter's metadata");
      const name = text(metadata.name, "an EnvoyFilter's name");
      const labels = members(metadata.labels ?? {}, "an EnvoyFilter's labels");
      return {
        name,
        namespace: text(metadata.namespace ?? "", "an EnvoyFilter's namespace"),
        resourceVersion: text(metadata["resourceVersion"] ?? "", "an EnvoyFilter's resourceVersion"),
        isOurs: isSlotFilter({ metadata: { name, labels }, spec: content["spec"] }, namespace, root),
      };
    },
  };
}
