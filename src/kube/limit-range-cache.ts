import { setTimeout as sleep } from "node:timers/promises";
import type { KubeConfig } from "@kubernetes/client-node";
import { messageOf } from "../error.ts";
import { withDeadline } from "./answer-deadline.ts";
import { type ApiServer, apiServer } from "./api-server.ts";
import { jsonOf } from "./body.ts";
import {
  CollectionWatch,
  doubtAbout,
  type Interruption,
  WATCH_SETTINGS,
  type WatchSettings,
} from "./collection-watch.ts";
import type { Deadline } from "./deadline.ts";
import { KubeError } from "./error.ts";
import { type ContainerLimit, readLimitRange } from "./limit-range.ts";
import { ObjectGroups } from "./object-groups.ts";
import { metadataKind, type ObjectMetadata } from "./object-metadata.ts";
import { SharedReads } from "./shared-reads.ts";

/** What one namespace's LimitRanges may take, together. */
const LIST_BYTES = 4 * 1024 * 1024;

export interface LimitRangeCacheSettings extends WatchSettings {
  /** How long ago the API server may have confirmed what is held, in milliseconds, for it to be taken as current. */
  readonly staleMs: number;
  /** What one direct read may take. */
  readonly readMs: number;
}

export const LIMIT_RANGE_CACHE_SETTINGS: LimitRangeCacheSettings = {
  ...WATCH_SETTINGS,
  staleMs: 60_000,
  readMs: 1_500,
};

export interface LimitRangeCache {
  /**
   * What the LimitRanges of a namespace say about containers.
   * @throws KubeError where they can't be read and nothing held is recent enough; Deadline
   */
  limitsOf(namespace: string, deadline?: Deadline): Promise<readonly ContainerLimit[]>;
  /** Why LimitRanges can't be told now, or null while they can: a part of the replica's readiness. */
  notReady(): string | null;
  readonly synced: () => boolean;
  /** Seconds since the API server last confirmed what is held; null where it never did. */
  readonly contactSeconds: () => number | null;
  close(): Promise<void>;
}

/** The LimitRanges of a namespace as they were read. */
interface Reading {
  readonly limits: readonly ContainerLimit[];
  /** Monotonic milliseconds of the moment since when other versions are known; null while these are the known ones. */
  outdatedAt: number | null;
}

/** Of a namespace without LimitRanges. */
const NONE: Reading = { limits: [], outdatedAt: null };

/**
 * LimitRanges, read once for each of their versions. A watch of their metadata tells which namespaces have any, and
 * when they changed. Where it can't tell, or they did change, they are read; where that fails, what was read last
 * answers for as long as it was right a minute ago or less. A limit that is a minute old harms little: the API server
 * holds the pod to the new one itself.
 */
export function limitRangeCache(
  kubeConfig: KubeConfig,
  interrupted: (reason: Interruption) => void,
  settings: LimitRangeCacheSettings = LIMIT_RANGE_CACHE_SETTINGS,
): LimitRangeCache {
  const server = apiServer(kubeConfig);
  const ending = new AbortController();
  const now = () => performance.now();
  const ranges = new ObjectGroups<ObjectMetadata>(({ namespace }) => namespace);
  const readings = new Map<string, Reading>();
  const watch = new CollectionWatch({
    server,
    path: "/api/v1/limitranges",
    kind: metadataKind(() => false),
    changed(before, after) {
      const namespace = after?.namespace ?? before?.namespace ?? "";
      if (before?.resourceVersion === after?.resourceVersion) return;
      ranges.change(before, after);
      const reading = readings.get(namespace);
      if (reading) reading.outdatedAt ??= now();
      if (!ranges.has(namespace)) readings.delete(namespace);
    },
    settings,
    interrupted,
    now,
    random: Math.random,
    sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
  });
  const doubt = () => doubtAbout("LimitRanges", watch, settings.staleMs);

  const reads = new SharedReads(async namespace => {
    const before = versionsOf(ranges, namespace);
    const limits = await readLimits(server, namespace, settings.readMs, ending.signal);
    // What changed meanwhile may be in it or not: it is read again.
    const isCurrent = watch.open && versionsOf(ranges, namespace) === before;
    if (ranges.has(namespace)) readings.set(namespace, { limits, outdatedAt: isCurrent ? null : now() });
    return limits;
  });

  /** What is known without asking, if it was right a moment ago; null otherwise. */
  function last(namespace: string): Reading | null {
    if (doubt() !== null) return null;
    if (!ranges.has(namespace)) return NONE;
    const reading = readings.get(namespace);
    return reading && now() - (reading.outdatedAt ?? now()) <= settings.staleMs ? reading : null;
  }

  return {
    async limitsOf(namespace, deadline) {
      const current = watch.open ? last(namespace) : null;
      if (current?.outdatedAt === null) return current.limits;
      try {
        const read = reads.get(namespace);
        return await (deadline ? deadline.wait(`reading the LimitRanges of namespace ${namespace}`, read) : read);
      } catch (error) {
        const recent = last(namespace);
        if (recent !== null) return recent.limits;
        throw error;
      }
    },
    notReady: doubt,
    synced: () => watch.synced,
    contactSeconds: () => (watch.contactAge === null ? null : watch.contactAge / 1000),
    async close() {
      ending.abort(new Error("closed"));
      await watch.close();
    },
  };
}

function versionsOf(ranges: ObjectGroups<ObjectMetadata>, namespace: string): string {
  return JSON.stringify(
    ranges
      .of(namespace)
      .map(range => [range.name, range.resourceVersion])
      .sort(),
  );
}

async function readLimits(
  server: ApiServer,
  namespace: string,
  milliseconds: number,
  ending: AbortSignal,
): Promise<readonly ContainerLimit[]> {
  try {
    return await withDeadline(ending, milliseconds, async signal => {
      const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/limitranges`;
      const list = (await jsonOf(await server.open(path, "application/json", signal), LIST_BYTES)) as {
        readonly items?: readonly unknown[] | null;
      };
      return (list.items ?? []).flatMap(readLimitRange);
    });
  } catch (error) {
    const problem = `can't read the LimitRanges of namespace ${namespace}: ${messageOf(error)}`;
    throw new KubeError("Unreachable", problem, { cause: error });
  }
}
