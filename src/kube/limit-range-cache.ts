import { setTimeout as sleep } from "node:timers/promises";
import type { KubeConfig } from "@kubernetes/client-node";
import { messageOf } from "../error.ts";
import { type ApiServer, apiServer } from "./api-server.ts";
import { jsonOf } from "./body.ts";
import { KubeError } from "./error.ts";
import { type ContainerLimit, readLimitRange } from "./limit-range.ts";
import {
  type Interruption,
  MetadataWatch,
  WATCH_SETTINGS,
  type WatchSettings,
  withDeadline,
} from "./metadata-watch.ts";
import type { ObjectMetadata } from "./object-metadata.ts";

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
  /** What the LimitRanges of a namespace say about containers. @throws KubeError where they can't be read */
  limitsOf(namespace: string): Promise<readonly ContainerLimit[]>;
  readonly synced: () => boolean;
  /** Seconds since the API server last confirmed what is held; null where it never did. */
  readonly contactSeconds: () => number | null;
  close(): Promise<void>;
}

/** The LimitRanges of a namespace as they were read, and which versions those were. */
interface Reading {
  readonly versions: string;
  readonly limits: Promise<readonly ContainerLimit[]>;
}

/**
 * LimitRanges, read once for each of their versions. A watch of their metadata tells which namespaces have any, and
 * when they changed; while it can't tell, they are read each time.
 */
export function limitRangeCache(
  kubeConfig: KubeConfig,
  interrupted: (reason: Interruption) => void,
  settings: LimitRangeCacheSettings = LIMIT_RANGE_CACHE_SETTINGS,
): LimitRangeCache {
  const server = apiServer(kubeConfig);
  const ending = new AbortController();
  /** Versions by name, by namespace. */
  const versions = new Map<string, Map<string, string>>();
  const readings = new Map<string, Reading>();
  const watch = new MetadataWatch({
    server,
    path: "/api/v1/limitranges",
    keep: () => false,
    changed: (before, after) => note(versions, readings, before, after),
    settings,
    interrupted,
    now: () => performance.now(),
    random: Math.random,
    sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
  });

  function read(namespace: string): Promise<readonly ContainerLimit[]> {
    return readLimits(server, namespace, settings.readMs, ending.signal);
  }

  return {
    async limitsOf(namespace) {
      const current = watch.open && (watch.contactAge ?? Infinity) <= settings.staleMs;
      if (!current) return read(namespace);
      const known = versions.get(namespace);
      if (known === undefined) return [];
      const key = JSON.stringify([...known].sort());
      const held = readings.get(namespace);
      if (held?.versions === key) return held.limits;
      const reading = { versions: key, limits: read(namespace) };
      readings.set(namespace, reading);
      // What failed is tried again.
      reading.limits.catch(() => readings.get(namespace) === reading && readings.delete(namespace));
      return reading.limits;
    },
    synced: () => watch.synced,
    contactSeconds: () => (watch.contactAge === null ? null : watch.contactAge / 1000),
    async close() {
      ending.abort(new Error("closed"));
      await watch.close();
    },
  };
}

function note(
  versions: Map<string, Map<string, string>>,
  readings: Map<string, Reading>,
  before: ObjectMetadata | undefined,
  after: ObjectMetadata | undefined,
): void {
  const namespace = after?.namespace ?? before?.namespace ?? "";
  const known = versions.get(namespace) ?? new Map<string, string>();
  if (before) known.delete(before.name);
  if (after) known.set(after.name, after.resourceVersion);
  if (known.size > 0) versions.set(namespace, known);
  else versions.delete(namespace);
  readings.delete(namespace);
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
