import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Decision } from "../admission/decision.ts";
import type { Side } from "../admission/entry.ts";
import type { Interruption } from "../kube/collection-watch.ts";

/** What is held current by a watch. */
export type CacheName =
  | "namespaces"
  | "limitranges"
  | "pods"
  | "policies"
  | "envoyfilters"
  | "meshproxypatches"
  | "servicedefaults"
  | "plan-keys"
  | "certificates";

/** What certificates are for: to serve, and to sign those that serve. */
export type CertificateKind = "serving" | "authority";

/** What is made anew when it ends. The fleet is watched by the leader alone, and is no cache that anything depends on. */
export type WatchName = CacheName | "fleet";

/** What the leader knows of all injected pods, asked for at each scrape. */
export interface FleetState {
  readonly filters: Readonly<Record<"wanted" | "mounted" | "failed" | "pending", number>>;
  readonly pods: Readonly<Record<"injected" | "differing" | "unverified", number>>;
}

/** A cache's state, asked for at each scrape. */
export interface CacheState {
  readonly synced: () => boolean;
  /** Seconds since its source last confirmed it; null where that never happened. */
  readonly contactSeconds: () => number | null;
}

type SlotCount = () => Readonly<Record<string, number>> | null;

/** What the webhook counts. Labels are closed sets: outcomes, reasons and states, never names. */
export interface Metrics {
  decided(side: Side, decision: Decision, seconds: number): void;
  failed(side: Side, seconds: number): void;
  /** A decision came when its caller had gone. */
  unanswered(side: Side): void;
  rejected(status: number): void;
  /** Shows a cache's state from now on. */
  watch(cache: CacheName, state: CacheState): void;
  /** @param count how many of a mesh's slots stand how; null while that is not known */
  watchSlots(dataPlane: "istio" | "kuma", count: SlotCount): void;
  /** A list or watch ended, for whatever reason, and is made anew. */
  interrupted(cache: WatchName, reason: Interruption): void;
  /** Shows from now on until when certificates are good; null where there is none. */
  watchCertificates(expiry: () => Readonly<Record<CertificateKind, Date | null>>): void;
  /** A certificate or a key was renewed, or was not. */
  renewed(kind: CertificateKind | "plan-key", result: string): void;
  /** The registrations were told whom to trust, or were not. */
  bundlePatched(result: string): void;
  /** A connection was closed at once, since there are as many as there may be. */
  connectionDropped(): void;
  /** A connection ended before TLS was agreed upon. */
  handshakeFailed(): void;
  /** A registry was asked what a tag means. @param outcome "Resolved", or an error's code */
  resolved(outcome: string, seconds: number): void;
  /** A policy was asked about an image: whether it passed, and what follows where it did not. */
  judged(mode: string, outcome: string): void;
  /** An Event was not written. */
  eventDropped(reason: string): void;
  /** Shows whether this replica leads from now on, and what a leader knows; null where it is none, or does not know yet. */
  watchFleet(leading: () => boolean, state: () => FleetState | null): void;
  /** A fetcher ended. @param outcome of a closed set */
  fetcherTerminated(outcome: string): void;
  /** The Prometheus text exposition, and its content type. */
  expose(): Promise<{ readonly contentType: string; readonly text: string }>;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const decisions = new Counter({
    name: "wasmount_admission_decisions_total",
    help: "Pods decided about, by side (mutate or validate), outcome and reason.",
    labelNames: ["side", "outcome", "reason"] as const,
    registers: [registry],
  });
  const failures = new Counter({
    name: "wasmount_admission_failures_total",
    help: "Reviews that ended in an internal error and followed the failure policy.",
    labelNames: ["side"] as const,
    registers: [registry],
  });
  const unanswered = new Counter({
    name: "wasmount_admission_unanswered_total",
    help: "Decisions that came when their caller had gone: the admission followed the failure policy.",
    labelNames: ["side"] as const,
    registers: [registry],
  });
  const rejections = new Counter({
    name: "wasmount_admission_rejections_total",
    help: "Requests that were no readable AdmissionReview, by HTTP status.",
    labelNames: ["status"] as const,
    registers: [registry],
  });
  const duration = new Histogram({
    name: "wasmount_admission_duration_seconds",
    help: "Time from a review's arrival to its answer.",
    labelNames: ["side"] as const,
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [registry],
  });
  const caches = new Map<CacheName, CacheState>();
  new Gauge({
    name: "wasmount_cache_synced",
    help: "1 once a cache was filled, else 0.",
    labelNames: ["cache"] as const,
    registers: [registry],
    collect() {
      for (const [cache, { synced }] of caches) this.set({ cache }, synced() ? 1 : 0);
    },
  });
  new Gauge({
    name: "wasmount_cache_contact_age_seconds",
    help: "Time since the API server last confirmed a cache; absent where it never did.",
    labelNames: ["cache"] as const,
    registers: [registry],
    collect() {
      for (const [cache, { contactSeconds }] of caches) {
        const seconds = contactSeconds();
        if (seconds !== null) this.set({ cache }, seconds);
      }
    },
  });
  const slotCounts = new Map<string, SlotCount>();
  const slotGauge = (dataPlane: "istio" | "kuma", objects: string, owner: string) =>
    new Gauge({
      name: `wasmount_${dataPlane}_slots`,
      help: `${objects} that attach filters to ${owner}'s proxies, by how they stand: Installed, Missing, Altered. Absent while that is not known, and without ${owner}.`,
      labelNames: ["state"] as const,
      registers: [registry],
      collect() {
        this.reset();
        for (const [state, count] of Object.entries(slotCounts.get(dataPlane)?.() ?? {})) this.set({ state }, count);
      },
    });
  slotGauge("istio", "EnvoyFilters", "Istio");
  slotGauge("kuma", "MeshProxyPatches", "Kuma");
  const interruptions = new Counter({
    name: "wasmount_cache_interruptions_total",
    help: "Lists and watches that ended and were made anew, by reason; Ended is the orderly end of a watch.",
    labelNames: ["cache", "reason"] as const,
    registers: [registry],
  });
  let certificateExpiry: Parameters<Metrics["watchCertificates"]>[0] | null = null;
  new Gauge({
    name: "wasmount_certificate_expiry_timestamp_seconds",
    help: "When the certificate ends that serves, and that of the authority that wasmount keeps itself, in seconds since 1970.",
    labelNames: ["kind"] as const,
    registers: [registry],
    collect() {
      for (const [kind, end] of Object.entries(certificateExpiry?.() ?? {}) as [CertificateKind, Date | null][]) {
        if (end !== null) this.set({ kind }, end.getTime() / 1000);
      }
    },
  });
  const rotations = new Counter({
    name: "wasmount_certificate_rotations_total",
    help: "Certificates and plan-signing keys that wasmount renewed itself, by kind and result: Written, Conflict where another replica was first, Failed.",
    labelNames: ["kind", "result"] as const,
    registers: [registry],
  });
  const bundlePatches = new Counter({
    name: "wasmount_ca_bundle_patches_total",
    help: "Registrations that were told whom to trust, by result: Written, Conflict where somebody else wrote first, Failed.",
    labelNames: ["result"] as const,
    registers: [registry],
  });
  const droppedConnections = new Counter({
    name: "wasmount_connections_dropped_total",
    help: "Connections that were closed at once, since there were listen.maxConnections.",
    registers: [registry],
  });
  const failedHandshakes = new Counter({
    name: "wasmount_tls_handshake_failures_total",
    help: "Connections that ended before TLS was agreed upon, such as those without the client certificate asked for.",
    registers: [registry],
  });
  const resolutions = new Counter({
    name: "wasmount_registry_resolutions_total",
    help: "Tags that registries were asked about, by outcome: Resolved, or the error's code.",
    labelNames: ["outcome"] as const,
    registers: [registry],
  });
  const resolutionDuration = new Histogram({
    name: "wasmount_registry_resolution_duration_seconds",
    help: "Time that registries took to answer what a tag means, or not to.",
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4],
    registers: [registry],
  });
  const judgements = new Counter({
    name: "wasmount_policy_judgements_total",
    help: "Images that policies were asked about at admission, held verdicts included, by the policy's mode and by outcome: Passed, Failed, or Unknown where the registry could not be asked.",
    labelNames: ["mode", "outcome"] as const,
    registers: [registry],
  });
  const droppedEvents = new Counter({
    name: "wasmount_events_dropped_total",
    help: "Events that were not written, by reason.",
    labelNames: ["reason"] as const,
    registers: [registry],
  });
  const leadership = fleetMetrics(registry);
  return {
    ...leadership,
    decided(side, { outcome, reason }, seconds) {
      decisions.inc({ side, outcome, reason });
      duration.observe({ side }, seconds);
    },
    failed(side, seconds) {
      failures.inc({ side });
      duration.observe({ side }, seconds);
    },
    unanswered(side) {
      unanswered.inc({ side });
    },
    rejected(status) {
      rejections.inc({ status });
    },
    watch(cache, state) {
      caches.set(cache, state);
    },
    watchSlots(dataPlane, count) {
      slotCounts.set(dataPlane, count);
    },
    interrupted(cache, reason) {
      interruptions.inc({ cache, reason });
    },
    watchCertificates(expiry) {
      certificateExpiry = expiry;
    },
    renewed(kind, result) {
      rotations.inc({ kind, result });
    },
    bundlePatched(result) {
      bundlePatches.inc({ result });
    },
    connectionDropped() {
      droppedConnections.inc();
    },
    handshakeFailed() {
      failedHandshakes.inc();
    },
    resolved(outcome, seconds) {
      resolutions.inc({ outcome });
      resolutionDuration.observe(seconds);
    },
    judged(mode, outcome) {
      judgements.inc({ mode, outcome });
    },
    eventDropped(reason) {
      droppedEvents.inc({ reason });
    },
    async expose() {
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}

/** What the replica that leads says of the fleet. From the others these are absent, so that sums count each pod once. */
function fleetMetrics(registry: Registry): Pick<Metrics, "watchFleet" | "fetcherTerminated"> {
  let source: { readonly leading: () => boolean; readonly state: () => FleetState | null } | null = null;
  new Gauge({
    name: "wasmount_leader",
    help: "1 while this replica leads, else 0; absent where the controller is switched off.",
    registers: [registry],
    collect() {
      this.remove();
      if (source !== null) this.set(source.leading() ? 1 : 0);
    },
  });
  const gauge = <Part extends keyof FleetState>(part: Part, help: string) =>
    new Gauge({
      name: `wasmount_fleet_${part}`,
      help: `${help} From the leader alone.`,
      labelNames: ["state"] as const,
      registers: [registry],
      collect() {
        this.reset();
        const state = source?.leading() ? source.state() : null;
        if (state !== null) for (const [name, value] of Object.entries(state[part])) this.set({ state: name }, value);
      },
    });
  gauge(
    "filters",
    "Filters of pods that run or are to run: wanted by their plans, and of these mounted, failed or pending.",
  );
  gauge(
    "pods",
    "Pods that run or are to run: injected; differing, whose fetcher ended well without all that the plan names; unverified, labelled as injected with a plan that no key vouches for.",
  );
  const terminations = new Counter({
    name: "wasmount_fetcher_terminations_total",
    help: "Runs of fetchers that ended while this replica led, by outcome.",
    labelNames: ["outcome"] as const,
    registers: [registry],
  });
  return {
    watchFleet(leading, state) {
      source = { leading, state };
    },
    fetcherTerminated(outcome) {
      terminations.inc({ outcome });
    },
  };
}
