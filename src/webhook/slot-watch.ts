import { setTimeout as sleep } from "node:timers/promises";
import type { KubeConfig } from "@kubernetes/client-node";
import { SLOT_OBJECT_LABEL } from "../dataplanes/istio-slots.ts";
import type { SlotState } from "../dataplanes/mesh-slots.ts";
import type { SlotObjects } from "../dataplanes/slot-objects.ts";
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

/** How the objects of slots stand in the cluster. */
export interface SlotWatch {
  /** @throws KubeError Unreachable, where what is held may be out of date */
  state(name: string): SlotState;
  /** Why slots can't be told now, or null while they can, or where the cluster has no such objects. */
  notReady(): string | null;
  /** How many of the slots that are asked for stand how; null while that can't be told. */
  readonly count: () => Readonly<Record<SlotState, number>> | null;
  readonly synced: () => boolean;
  /** Seconds since the API server last confirmed what is held; null where it never did. */
  readonly contactSeconds: () => number | null;
  close(): Promise<void>;
}

export interface SlotWatchOptions {
  readonly interrupted: (reason: Interruption) => void;
  readonly settings?: WatchSettings & { readonly staleMs: number };
}

/** At most 3 directions × 2 phases × 99 slots, and the guard; with Kuma 2 directions, and 16 meshes. */
export const SLOT_SETTINGS = { ...WATCH_SETTINGS, staleMs: 60_000, pageBytes: 16 * 1024 * 1024, items: 8_000 };

interface WatchedSlot extends Watched {
  /** Whether it is what wasmount installs. */
  readonly isOurs: boolean;
}

/** Holds the objects of slots current. One that was changed counts as little as one that is missing. */
export function slotWatch(
  kubeConfig: KubeConfig,
  objects: SlotObjects,
  { interrupted, settings = SLOT_SETTINGS }: SlotWatchOptions,
): SlotWatch {
  const watch = new CollectionWatch<WatchedSlot>({
    server: apiServer(kubeConfig),
    path: objects.path,
    kind: slotKind(objects),
    labelSelector: SLOT_OBJECT_LABEL,
    settings,
    interrupted,
    now: () => performance.now(),
    random: Math.random,
    sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
  });
  const standing = (name: string): SlotState => {
    const held = watch.get(`${objects.namespace}/${name}`);
    return held === undefined ? "Missing" : held.isOurs ? "Installed" : "Altered";
  };
  const doubt = () =>
    doubtAbout(objects.kind === "EnvoyFilter" ? "EnvoyFilters" : "MeshProxyPatches", watch, settings.staleMs);
  return {
    state(name) {
      const reason = doubt();
      if (reason !== null) throw new KubeError("Unreachable", `can't tell which slots are installed: ${reason}`);
      return standing(name);
    },
    count() {
      if (doubt() !== null) return null;
      const counts = { Installed: 0, Missing: 0, Altered: 0 };
      for (const name of objects.names) counts[standing(name)] += 1;
      return counts;
    },
    // Pods of other data planes are decided about all the same where the mesh is not there yet.
    notReady: () => (watch.lastInterruption === "Refused" ? null : doubt()),
    synced: () => watch.synced,
    contactSeconds: () => (watch.contactAge === null ? null : watch.contactAge / 1000),
    close: () => watch.close(),
  };
}

function slotKind({ kind, isOurs }: SlotObjects): WatchedKind<WatchedSlot> {
  const one = kind === "EnvoyFilter" ? `an ${kind}` : `a ${kind}`;
  return {
    list: `${kind}List`,
    accept: { list: "application/json", watch: "application/json" },
    read(object) {
      const content = members(object, one);
      const metadata = members(content.metadata, `${one}'s metadata`);
      const name = text(metadata.name, `${one}'s name`);
      const labels = members(metadata.labels ?? {}, `${one}'s labels`);
      return {
        name,
        namespace: text(metadata.namespace ?? "", `${one}'s namespace`),
        resourceVersion: text(metadata["resourceVersion"] ?? "", `${one}'s resourceVersion`),
        isOurs: isOurs({ metadata: { name, labels }, spec: content["spec"] }),
      };
    },
  };
}
