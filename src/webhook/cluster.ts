import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import { INJECTED, PREFIX } from "../admission/key.ts";
import type { Config } from "../config/config.ts";
import type { ConsulSettings } from "../dataplanes/consul.ts";
import { patchName } from "../dataplanes/kuma-slots.ts";
import type { SlotState } from "../dataplanes/mesh-slots.ts";
import { istioSlotObjects, kumaSlotObjects, type SlotObjects } from "../dataplanes/slot-objects.ts";
import { messageOf } from "../error.ts";
import { type ApiServer, apiServer } from "../kube/api-server.ts";
import { KubeError } from "../kube/error.ts";
import type { EventContent } from "../kube/event.ts";
import { EventRecorder } from "../kube/event-recorder.ts";
import { loadKubeConfig } from "../kube/kube-config.ts";
import { limitRangeCache } from "../kube/limit-range-cache.ts";
import type { NamespaceSource } from "../kube/namespace.ts";
import { namespaceCache } from "../kube/namespace-cache.ts";
import { podCache } from "../kube/pod-cache.ts";
import { eventOf } from "../observe/decision-events.ts";
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Announce } from "../observe/observer.ts";
import { collectRepeatedly } from "../pins/collecting.ts";
import { PinCollector } from "../pins/pin-collector.ts";
import { PinStore } from "../pins/pin-store.ts";
import { PIN_SETTINGS, PinnedTags } from "../pins/pinned-tags.ts";
import type { PlanKeys } from "../plan/signature.ts";
import { clusterPolicies, fixedPolicies } from "../policies/cluster-policies.ts";
import type { FoundPolicy } from "../policies/policy-set.ts";
import { type Control, openControl } from "./control.ts";
import type { Sources } from "./decide.ts";
import type { NamespaceRegistries } from "./namespace-registries.ts";
import { serviceDefaultsWatch } from "./service-defaults-watch.ts";
import { type SlotWatch, slotWatch } from "./slot-watch.ts";

/** What a webhook asks of the cluster that it serves. */
export interface Cluster extends Sources {
  readonly namespaces: NamespaceSource;
  readonly announce: Announce;
  /** How the EnvoyFilter of a slot stands. @throws KubeError Unreachable, where that can't be told */
  readonly slotState: (slot: string) => SlotState;
  /** How the MeshProxyPatch of a slot stands in a mesh of Kuma. @throws KubeError Unreachable, where that can't be told */
  readonly kumaSlotState: (slot: string, mesh: string) => SlotState;
  /** How a service of Consul stands to what attaches its filters; null where nobody looks. @throws KubeError Unreachable */
  readonly serviceState: ConsulSettings["serviceState"];
  /**
   * Stands for what only one replica at a time does.
   * @param keys whose signatures of plans count now: empty where plans are not signed, null where that is not known yet
   */
  stand(keys: () => PlanKeys | null): void;
  /** Ends what only one replica at a time does, for another to take it over while this one drains. */
  retire(): Promise<void>;
  /** Writes an Event, if Events are written. */
  readonly record: (event: EventContent) => void;
  /** Null without a cluster. */
  readonly server: ApiServer | null;
  /** Ends it all; Events that wait are written, for a bounded time. */
  close(): Promise<void>;
}

/** @throws KubeError BadKubeconfig */
export function readKubeConfig(path: string | undefined): KubeConfig {
  const loaded = loadKubeConfig(path || undefined);
  if ("problem" in loaded) throw new KubeError("BadKubeconfig", loaded.problem);
  return loaded;
}

/** What a webhook has of its own, beside its cluster. */
export interface Given {
  readonly registries: NamespaceRegistries;
  readonly files: readonly FoundPolicy[];
}

/** Opens the caches, and begins to forget pins of owners that are gone. */
export function openCluster(
  kubeConfig: KubeConfig,
  config: Pick<
    Config,
    "pins" | "events" | "limits" | "policy" | "controller" | "istio" | "kuma" | "consul" | "dataPlanes" | "volume"
  >,
  { registries, files }: Given,
  log: Logger,
  metrics: Metrics,
): Cluster {
  const namespaces = namespaceCache(kubeConfig, {
    keep: key => key.startsWith(PREFIX),
    interrupted: reason => metrics.interrupted("namespaces", reason),
  });
  const limits = limitRangeCache(kubeConfig, reason => metrics.interrupted("limitranges", reason));
  const pods = podCache(kubeConfig, {
    labelSelector: `${INJECTED}=true`,
    interrupted: reason => metrics.interrupted("pods", reason),
  });
  metrics.watch("namespaces", namespaces);
  metrics.watch("limitranges", limits);
  metrics.watch("pods", pods);
  const server = apiServer(kubeConfig);
  const pins = new PinnedTags({
    store: new PinStore(server, config.pins.namespace),
    resolver: registries,
    settings: { ...PIN_SETTINGS, deadlineMs: config.limits.resolveSeconds * 1000 },
  });
  const policies = config.policy.fromCluster
    ? clusterPolicies(kubeConfig, {
        namespace: config.pins.namespace,
        files,
        interrupted: reason => metrics.interrupted("policies", reason),
        statusFailed: (policy, problem) => log.warn({ policy, problem }, "can't write a policy's status"),
      })
    : fixedPolicies(files);
  metrics.watch("policies", policies);
  const slotsOf = (objects: SlotObjects | null, dataPlane: "istio" | "kuma"): SlotWatch | null => {
    if (objects === null) return null;
    const { resource } = objects;
    const slots = slotWatch(kubeConfig, objects, { interrupted: reason => metrics.interrupted(resource, reason) });
    metrics.watch(resource, slots);
    metrics.watchSlots(dataPlane, slots.count);
    return slots;
  };
  const slots = slotsOf(istioSlotObjects(config), "istio");
  const kumaSlots = slotsOf(kumaSlotObjects(config), "kuma");
  const services =
    config.dataPlanes.includes("consul") && config.consul.watchServiceDefaults
      ? serviceDefaultsWatch(kubeConfig, { interrupted: reason => metrics.interrupted("servicedefaults", reason) })
      : null;
  if (services !== null) metrics.watch("servicedefaults", services);
  const collector = new PinCollector({
    server,
    namespace: config.pins.namespace,
    isOwnerLive: pods.isOwnerLive,
    now: () => Date.now(),
  });
  const ending = new AbortController();
  const collecting = collectRepeatedly(
    collector,
    {
      collected({ deleted, strange }) {
        if (deleted > 0) log.info({ deleted }, "forgot the pinned tags of owners that are gone");
        if (strange.length > 0) log.warn({ strange }, "labelled as pinned tags, but not ours");
      },
      failed: error => log.warn({ error: messageOf(error) }, "can't clear pinned tags away"),
    },
    Math.random,
    ending.signal,
  );
  const recorder = (controller: string) => eventRecorder(server, metrics, controller);
  const events = config.events.enabled ? recorder("wasmount.dev/webhook") : null;
  let control: Control | null = null;
  return {
    namespaces: {
      get: namespaces.get,
      getNow: namespaces.getNow,
      // What decisions depend on. Pods are watched for clearing pins away, which may come later. ServiceDefaults are written in
      // namespaces of others: what they make of them is refused to Consul's pods (serviceState), and holds up no other.
      notReady: () =>
        namespaces.notReady() ??
        limits.notReady() ??
        policies.notReady() ??
        slots?.notReady() ??
        kumaSlots?.notReady() ??
        null,
    },
    slotState: slot => slots?.state(`wasmount-${slot}`) ?? "Missing",
    kumaSlotState: (slot, mesh) => kumaSlots?.state(patchName(slot, mesh)) ?? "Missing",
    serviceState: services === null ? null : (wanted, namespace) => services.state(wanted, namespace),
    limitsOf: limits.limitsOf,
    resolve: (reference, request) => pins.resolve(reference, request),
    policies: policies.current,
    async judge(...asked) {
      const verdict = await registries.judge(...asked);
      for (const { mode, outcome } of verdict.policies) metrics.judged(mode, outcome);
      return verdict;
    },
    announce(decision, pod, namespace) {
      const event = events && eventOf(decision, pod, namespace);
      if (event) events.record(event);
    },
    stand(keys) {
      if (!config.controller.enabled) return;
      const ofController = config.events.enabled ? () => recorder("wasmount.dev/controller") : null;
      control = openControl({ server, config, keys, policies, recorder: ofController, log, metrics });
    },
    async retire() {
      await control?.close();
    },
    record: event => events?.record(event),
    server,
    async close() {
      ending.abort();
      await control?.close();
      await Promise.all([
        events?.close(),
        namespaces.close(),
        limits.close(),
        policies.close(),
        slots?.close(),
        kumaSlots?.close(),
        services?.close(),
        pods.close(),
        collecting,
      ]);
    },
  };
}

function eventRecorder(server: ApiServer, metrics: Metrics, controller: string): EventRecorder {
  return new EventRecorder({
    server,
    reporter: { controller, instance: hostname() },
    dropped: reason => metrics.eventDropped(reason),
    monotonic: () => performance.now(),
    wall: () => Date.now(),
    random: Math.random,
    uniqueSuffix: () => randomBytes(8).toString("hex"),
    sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
  });
}
