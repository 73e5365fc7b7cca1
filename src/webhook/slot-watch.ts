import type { KubeConfig } from "@kubernetes/client-node";
import { SLOT_OBJECT_LABEL } from "../dataplanes/istio-slots.ts";
import type { SlotState } from "../dataplanes/mesh-slots.ts";
import type { SlotObjects } from "../dataplanes/slot-objects.ts";
import { type Interruption, WATCH_SETTINGS } from "../kube/collection-watch.ts";
import { members, text, type Watched, type WatchedKind } from "../kube/watched-kind.ts";
import { type AttachingWatch, type AttachingWatchSettings, attachingWatch } from "./attaching-watch.ts";

/** How the objects of slots stand in the cluster. */
export interface SlotWatch extends Pick<AttachingWatch<never>, "notReady" | "synced" | "contactSeconds" | "close"> {
  /** @throws KubeError Unreachable, where what is held may be out of date */
  state(name: string): SlotState;
  /** How many of the slots that are asked for stand how; null while that can't be told. */
  readonly count: () => Readonly<Record<SlotState, number>> | null;
}

export interface SlotWatchOptions {
  readonly interrupted: (reason: Interruption) => void;
  readonly settings?: AttachingWatchSettings;
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
  const watch = attachingWatch<WatchedSlot>(kubeConfig, {
    plural: objects.kind === "EnvoyFilter" ? "EnvoyFilters" : "MeshProxyPatches",
    path: objects.path,
    kind: slotKind(objects),
    labelSelector: SLOT_OBJECT_LABEL,
    settings,
    interrupted,
  });
  const state = (name: string): SlotState => {
    const held = watch.get(`${objects.namespace}/${name}`);
    return held === undefined ? "Missing" : held.isOurs ? "Installed" : "Altered";
  };
  return {
    state,
    count() {
      // Before a mesh is there, nothing of it is broken.
      if (watch.doubt() !== null || !watch.listed()) return null;
      const counts = { Installed: 0, Missing: 0, Altered: 0 };
      for (const name of objects.names) counts[state(name)] += 1;
      return counts;
    },
    notReady: watch.notReady,
    synced: watch.synced,
    contactSeconds: watch.contactSeconds,
    close: watch.close,
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
