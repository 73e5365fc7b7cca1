import { setTimeout as sleep } from "node:timers/promises";
import type { KubeConfig } from "@kubernetes/client-node";
import { apiServer } from "./api-server.ts";
import { CollectionWatch, type Interruption, WATCH_SETTINGS, type WatchSettings } from "./collection-watch.ts";
import { metadataKind, type ObjectMetadata } from "./object-metadata.ts";

import { ownerIdOf, rolloutOf } from "./owner-id.ts";

const NOTHING: Readonly<Record<string, string>> = Object.freeze({});

export interface PodCacheSettings extends WatchSettings {
  /** How long ago the API server may have confirmed the cache, in milliseconds, for it to say that a pod is gone. */
  readonly staleMs: number;
}

/** A list of all pods is long, and nobody waits for one that is newer. */
export const POD_CACHE_SETTINGS: PodCacheSettings = {
  ...WATCH_SETTINGS,
  relistMs: 3_600_000,
  items: 200_000,
  staleMs: 60_000,
};

export interface PodCacheOptions {
  /** Which pods, such as "wasmount.dev/injected=true". */
  readonly labelSelector: string;
  readonly interrupted: (reason: Interruption) => void;
  readonly settings?: PodCacheSettings;
}

/** Which owners have pods, with what the cache's metrics say. */
export interface PodCache {
  /**
   * Whether a controlling owner has a pod. True, too, while that can't be told: what is cleared away because of a "no"
   * must not be cleared away because the API server is out of reach.
   * @param ownerId the owner's UID, with its revision where there is one (`rolloutOf`), as `ownerIdOf` writes it
   */
  readonly isOwnerLive: (namespace: string, ownerId: string) => boolean;
  /** Whether pods were listed, and confirmed recently enough for a "no" to count. */
  readonly current: () => boolean;
  readonly synced: () => boolean;
  /** Seconds since the API server last confirmed what is held; null where it never did. */
  readonly contactSeconds: () => number | null;
  readonly close: () => Promise<void>;
}

/** The pods with some labels, held current by a watch. Of each are held its name, its namespace and its owner's UID. */
export function podCache(
  kubeConfig: KubeConfig,
  { labelSelector, interrupted, settings = POD_CACHE_SETTINGS }: PodCacheOptions,
): PodCache {
  /** How many pods each owner has. */
  const pods = new Map<string, number>();
  const add = (object: ObjectMetadata | undefined, change: 1 | -1) => {
    if (object === undefined || object.owner === "") return;
    const key = ownerKey(object.namespace, object.owner);
    const count = (pods.get(key) ?? 0) + change;
    if (count > 0) pods.set(key, count);
    else pods.delete(key);
  };
  const watch = new CollectionWatch({
    server: apiServer(kubeConfig),
    path: "/api/v1/pods",
    labelSelector,
    kind: metadataKind(() => false),
    reduce: reducedPod,
    changed(before, after) {
      add(after, 1);
      add(before, -1);
    },
    settings,
    interrupted,
    now: () => performance.now(),
    random: Math.random,
    sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
  });
  const current = () => watch.synced && (watch.contactAge ?? Infinity) <= settings.staleMs;

  return {
    isOwnerLive: (namespace, ownerId) => !current() || pods.has(ownerKey(namespace, ownerId)),
    current,
    synced: () => watch.synced,
    contactSeconds: () => (watch.contactAge === null ? null : watch.contactAge / 1000),
    close: () => watch.close(),
  };
}

/** Its author chose the UID: short it is in any case. */
function reducedPod({ name, namespace, owner, labels }: ObjectMetadata): ObjectMetadata {
  const id = owner === "" ? "" : ownerIdOf(rolloutOf(owner, labels));
  return { name, namespace, owner: id, resourceVersion: "", labels: NOTHING, annotations: NOTHING };
}

function ownerKey(namespace: string, ownerId: string): string {
  return `${namespace}\n${ownerId}`;
}
