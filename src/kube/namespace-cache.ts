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
import { DNS_LABEL } from "./dns-label.ts";
import { KubeError } from "./error.ts";
import type { Namespace, NamespaceSource } from "./namespace.ts";
import { type KeepAnnotation, METADATA, metadataKind, readObject } from "./object-metadata.ts";
import { SharedReads } from "./shared-reads.ts";

const PATH = "/api/v1/namespaces";
/** A namespace is its metadata; etcd holds no object larger than 1.5 MiB. */
const NAMESPACE_BYTES = 4 * 1024 * 1024;

export interface NamespaceCacheSettings extends WatchSettings {
  /** How long ago the API server may have confirmed the cache, in milliseconds, for an answer to come from it. */
  readonly staleMs: number;
  /** What one direct read may take: an admission has 5 s in all. */
  readonly readMs: number;
}

export const NAMESPACE_CACHE_SETTINGS: NamespaceCacheSettings = { ...WATCH_SETTINGS, staleMs: 60_000, readMs: 1_500 };

export interface NamespaceCacheOptions {
  /** Which annotations are kept. */
  readonly keep: KeepAnnotation;
  readonly interrupted: (reason: Interruption) => void;
  readonly settings?: NamespaceCacheSettings;
}

/** A {@link NamespaceSource} with what its metrics say. */
export interface NamespaceCache extends NamespaceSource {
  readonly synced: () => boolean;
  /** Seconds since the API server last confirmed what is held; null where it never did. */
  readonly contactSeconds: () => number | null;
  close(): Promise<void>;
}

/**
 * Namespaces held current by a watch. While the watch is open, what it says is the answer; while it isn't, or where it
 * doesn't know the name, one direct read decides. Where that fails, what is held answers as long as the API server
 * confirmed it a minute ago or less; after that, admission fails and the replica is not ready.
 */
export function namespaceCache(
  kubeConfig: KubeConfig,
  { keep, interrupted, settings = NAMESPACE_CACHE_SETTINGS }: NamespaceCacheOptions,
): NamespaceCache {
  const server = apiServer(kubeConfig);
  const ending = new AbortController();
  const watch = new CollectionWatch({
    server,
    path: PATH,
    kind: metadataKind(keep),
    settings,
    interrupted,
    now: () => performance.now(),
    random: Math.random,
    sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
  });
  const doubt = () => doubtAbout("namespaces", watch, settings.staleMs);
  const read = (name: string, signal: AbortSignal) => readNamespace(server, name, keep, settings.readMs, signal);
  const reads = new SharedReads(name => read(name, ending.signal));

  return {
    async get(name, deadline) {
      if (!DNS_LABEL.test(name)) return null;
      const held = watch.get(name);
      if (held && watch.open && doubt() === null) return held;
      try {
        return await within(deadline, name, reads.get(name));
      } catch (error) {
        const last = watch.get(name);
        if (last && doubt() === null) return last;
        throw error;
      }
    },
    async getNow(name, deadline) {
      if (!DNS_LABEL.test(name)) return null;
      // A read that is under way may be older than what the caller knows.
      const signal = deadline ? AbortSignal.any([ending.signal, deadline.signal]) : ending.signal;
      return within(deadline, name, read(name, signal));
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

function within<Value>(deadline: Deadline | undefined, name: string, work: Promise<Value>): Promise<Value> {
  return deadline ? deadline.wait(`reading namespace ${name}`, work) : work;
}

async function readNamespace(
  server: ApiServer,
  name: string,
  keep: KeepAnnotation,
  milliseconds: number,
  ending: AbortSignal,
): Promise<Namespace | null> {
  try {
    return await withDeadline(ending, milliseconds, async signal => {
      const body = await server.open(`${PATH}/${name}`, METADATA, signal);
      return readObject(await jsonOf(body, NAMESPACE_BYTES), keep);
    });
  } catch (error) {
    if (error instanceof KubeError && error.code === "NotFound") return null;
    throw new KubeError("Unreachable", `can't read namespace ${name}: ${messageOf(error)}`, { cause: error });
  }
}
