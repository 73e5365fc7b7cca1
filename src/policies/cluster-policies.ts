import { setTimeout as sleep } from "node:timers/promises";
import type { KubeConfig } from "@kubernetes/client-node";
import { aborted } from "../abort.ts";
import { messageOf } from "../error.ts";
import { apiServer } from "../kube/api-server.ts";
import {
  CollectionWatch,
  doubtAbout,
  type Interruption,
  WATCH_SETTINGS,
  type WatchSettings,
} from "../kube/collection-watch.ts";
import { KubeError } from "../kube/error.ts";
import type { Watched, WatchedKind } from "../kube/watched-kind.ts";
import { NO_MATERIALS } from "../trust/rules.ts";
import { configMapKind, MATERIAL_LABEL, materialsOf, secretKind, type WatchedMaterial } from "./material.ts";
import { type FoundPolicy, PolicySet } from "./policy-set.ts";
import { PolicyStatusWriter } from "./policy-status-writer.ts";
import { POLICY_API, POLICY_COLLECTIONS, policyKind } from "./watched-policy.ts";

/** The policies that count, whichever place they come from. */
export interface PolicySource {
  /** @throws KubeError Unreachable, where what is held may be out of date */
  current(): PolicySet;
  /** Why policies can't be told now, or null while they can: a part of the replica's readiness. */
  notReady(): string | null;
  readonly synced: () => boolean;
  /** Seconds since the API server last confirmed what is held; null where it never did. */
  readonly contactSeconds: () => number | null;
  /** Keeps what policies say of themselves true, until it is aborted: for one replica at a time to do. Never rejects. */
  keepStatuses(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** Policies that never change. What they refer to in a cluster is not there. */
export function fixedPolicies(found: readonly FoundPolicy[]): PolicySource {
  const set = new PolicySet(found, NO_MATERIALS);
  return {
    current: () => set,
    notReady: () => null,
    synced: () => true,
    contactSeconds: () => 0,
    // They have none.
    keepStatuses: aborted,
    close: async () => {},
  };
}

export interface ClusterPoliciesOptions {
  /** The operator's own, whose Secrets and ConfigMaps policies may refer to. */
  readonly namespace: string;
  /** Policies that count beside the cluster's. */
  readonly files: readonly FoundPolicy[];
  readonly interrupted: (reason: Interruption) => void;
  /** A status could not be written: it says what is old. */
  readonly statusFailed: (policy: string, problem: string) => void;
  readonly settings?: WatchSettings & { readonly staleMs: number };
}

export const POLICY_SETTINGS = { ...WATCH_SETTINGS, staleMs: 60_000, pageBytes: 16 * 1024 * 1024, items: 1_000 };

/**
 * The cluster's policies and what they refer to, held current by watches. A change counts from the moment that a watch
 * delivers it. While a watch is interrupted, what is held counts for a minute after the API server last confirmed it;
 * then nothing is decided, and the replica is not ready.
 */
export function clusterPolicies(kubeConfig: KubeConfig, options: ClusterPoliciesOptions): PolicySource {
  const { namespace, files, interrupted, settings = POLICY_SETTINGS } = options;
  const server = apiServer(kubeConfig);
  let set: PolicySet | null = null;
  let statuses: PolicyStatusWriter | null = null;
  function watched<Held extends Watched>(
    path: string,
    kind: WatchedKind<Held>,
    content: (object: Held | undefined) => unknown,
    labelSelector?: string,
  ) {
    return new CollectionWatch<Held>({
      server,
      path,
      kind,
      ...(labelSelector === undefined ? {} : { labelSelector }),
      changed(before, after) {
        // Statuses change more often than policies, and compiling is work.
        if (JSON.stringify(content(before)) !== JSON.stringify(content(after))) set = null;
        statuses?.wake();
      },
      settings,
      interrupted,
      now: () => performance.now(),
      random: Math.random,
      sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
    });
  }
  const collection = (kind: "WasmPolicy" | "NamespacedWasmPolicy") =>
    watched(`${POLICY_API}/${POLICY_COLLECTIONS[kind]}`, policyKind(kind), policy => policy?.found);
  const own = `/api/v1/namespaces/${namespace}`;
  const policies = [collection("WasmPolicy"), collection("NamespacedWasmPolicy")];
  const texts = (material: WatchedMaterial | undefined) => material?.texts;
  const secrets = watched(`${own}/secrets`, secretKind, texts, MATERIAL_LABEL);
  const configMaps = watched(`${own}/configmaps`, configMapKind, texts, MATERIAL_LABEL);
  const all = [...policies, secrets, configMaps];
  const doubts = (what: string, watches: readonly Parameters<typeof doubtAbout>[1][]) =>
    watches.map(watch => doubtAbout(what, watch, settings.staleMs)).find(doubt => doubt !== null);
  const notReady = () => {
    const doubt = doubts("policies", policies) ?? doubts("trust materials", [secrets, configMaps]) ?? null;
    const isMissing = ({ lastInterruption: last }: Pick<(typeof all)[number], "lastInterruption">) =>
      last === "Refused" || last === "NotFound";
    if (doubt === null || !all.some(isMissing)) return doubt;
    return `${doubt}: are the definitions and roles of manifests/install.yaml there? Without policies in the cluster set policy.fromCluster: false`;
  };
  const held = () => policies.flatMap(watch => [...watch.all()]);
  const compiled = () => {
    set ??= new PolicySet(
      [...files, ...held().map(({ found }) => found)],
      materialsOf(secrets.all(), configMaps.all()),
    );
    return set;
  };
  const statusWriter = () =>
    new PolicyStatusWriter({
      server,
      policies: () => (notReady() === null ? held() : []),
      set: compiled,
      failed: (policy, error) => options.statusFailed(policy, messageOf(error)),
      wall: () => new Date(),
      sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
    });

  return {
    current() {
      const doubt = notReady();
      if (doubt !== null) throw new KubeError("Unreachable", `can't tell which policies there are: ${doubt}`);
      return compiled();
    },
    notReady,
    synced: () => all.every(watch => watch.synced),
    contactSeconds() {
      const ages = all.map(({ contactAge }) => contactAge);
      return ages.includes(null) ? null : Math.max(...ages.map(Number)) / 1000;
    },
    async keepStatuses(signal) {
      if (signal.aborted) return;
      const writer = statusWriter();
      statuses = writer;
      writer.wake();
      await aborted(signal);
      if (statuses === writer) statuses = null;
      await writer.close();
    },
    async close() {
      await Promise.all(all.map(watch => watch.close()));
    },
  };
}
