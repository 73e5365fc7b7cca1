/** One graph: what it shows, and the queries behind it. */
interface Panel {
  readonly title: string;
  readonly description: string;
  /** Grafana's name of the unit. */
  readonly unit: string;
  readonly queries: readonly (readonly [query: string, legend: string])[];
}

const INSTANCES = 'job=~"$job"';
const rate = (metric: string, by: string, labels = "") =>
  `sum by (${by}) (rate(${metric}{${INSTANCES}${labels}}[$__rate_interval]))`;
const quantile = (part: number) =>
  `histogram_quantile(${part}, sum by (le, side) (rate(wasmount_admission_duration_seconds_bucket{${INSTANCES}}[$__rate_interval])))`;

const panels: readonly Panel[] = [
  {
    title: "Decisions",
    description: "Pods decided about, by side and outcome. See docs/reasons.md.",
    unit: "reqps",
    queries: [[rate("wasmount_admission_decisions_total", "side, outcome"), "{{side}} {{outcome}}"]],
  },
  {
    title: "Denials by reason",
    description: "Why pods are not created.",
    unit: "reqps",
    queries: [[rate("wasmount_admission_decisions_total", "reason", ', outcome="Denied"'), "{{reason}}"]],
  },
  {
    title: "Failures",
    description:
      "Reviews that ended in an internal error and followed failurePolicy. Anything but zero wants a look at the log.",
    unit: "reqps",
    queries: [
      [rate("wasmount_admission_failures_total", "side"), "{{side}}"],
      [rate("wasmount_admission_unanswered_total", "side"), "{{side}}, decided too late"],
    ],
  },
  {
    title: "Rejected requests",
    description:
      "Requests that were no readable AdmissionReview, by HTTP status: nobody but the API server should call.",
    unit: "reqps",
    queries: [[rate("wasmount_admission_rejections_total", "status"), "{{status}}"]],
  },
  {
    title: "Duration",
    description: "From a review's arrival to its answer. The API server waits for 5 s.",
    unit: "s",
    queries: [
      [quantile(0.5), "{{side}} p50"],
      [quantile(0.99), "{{side}} p99"],
    ],
  },
  {
    title: "Registries",
    description: "Tags that registries were asked about, by outcome; pods by digest ask nobody.",
    unit: "reqps",
    queries: [[rate("wasmount_registry_resolutions_total", "outcome"), "{{outcome}}"]],
  },
  {
    title: "Registries' answers",
    description: "Time until a tag was resolved, or was not. limits.resolveSeconds ends the wait.",
    unit: "s",
    queries: [
      [
        `histogram_quantile(0.99, sum by (le) (rate(wasmount_registry_resolution_duration_seconds_bucket{${INSTANCES}}[$__rate_interval])))`,
        "p99",
      ],
    ],
  },
  {
    title: "Policies",
    description:
      "Images that policies were asked about, by mode and outcome. Failed in Warn or Audit would be denied in Enforce.",
    unit: "reqps",
    queries: [
      [
        `sum by (mode, outcome) (rate(wasmount_policy_judgements_total{${INSTANCES}}[$__rate_interval]))`,
        "{{mode}} {{outcome}}",
      ],
    ],
  },
  {
    title: "Filters",
    description:
      "Of all injected pods, from the replica that leads: wanted by their plans, and of these mounted, failed or pending.",
    unit: "none",
    queries: [
      [`sum by (state) (wasmount_fleet_filters{${INSTANCES}})`, "{{state}}"],
      [`sum(wasmount_fleet_pods{${INSTANCES}, state="differing"})`, "pods that differ from their plan"],
      [`sum(wasmount_fleet_pods{${INSTANCES}, state="unverified"})`, "pods that nobody vouches for"],
    ],
  },
  {
    title: "Fetchers' ends",
    description: "By outcome. Anything but Mounted keeps a pod from starting, or a filter from doing anything.",
    unit: "ops",
    queries: [[rate("wasmount_fetcher_terminations_total", "outcome"), "{{outcome}}"]],
  },
  {
    title: "Leaders",
    description: "Replicas that lead: one. Nobody leads for up to 20 s where the leader vanished.",
    unit: "none",
    queries: [[`sum(wasmount_leader{${INSTANCES}})`, "leaders"]],
  },
  {
    title: "Caches filled",
    description: "1 once a cache was filled. A replica is not ready before.",
    unit: "none",
    queries: [[`min by (cache) (wasmount_cache_synced{${INSTANCES}})`, "{{cache}}"]],
  },
  {
    title: "Age of caches",
    description: "Since the API server last confirmed a cache. Beyond a minute what is held no longer counts.",
    unit: "s",
    queries: [[`max by (cache) (wasmount_cache_contact_age_seconds{${INSTANCES}})`, "{{cache}}"]],
  },
  {
    title: "Watches made anew",
    description: "By reason. Ended is the orderly end of a watch.",
    unit: "ops",
    queries: [[rate("wasmount_cache_interruptions_total", "cache, reason"), "{{cache}} {{reason}}"]],
  },
  {
    title: "Events not written",
    description: "By reason. Limits keep a crash-looping workload from flooding the API server.",
    unit: "ops",
    queries: [[rate("wasmount_events_dropped_total", "reason"), "{{reason}}"]],
  },
  {
    title: "Connections refused",
    description: "Beyond listen.maxConnections, or without TLS or the client certificate that is asked for.",
    unit: "cps",
    queries: [
      [rate("wasmount_connections_dropped_total", "instance"), "{{instance}} too many"],
      [rate("wasmount_tls_handshake_failures_total", "instance"), "{{instance}} no TLS"],
    ],
  },
  {
    title: "Certificate expires in",
    description: "The serving certificate of each replica, and the authority's where wasmount keeps it itself.",
    unit: "s",
    queries: [[`wasmount_certificate_expiry_timestamp_seconds{${INSTANCES}} - time()`, "{{instance}} {{kind}}"]],
  },
  {
    title: "Certificates and keys renewed",
    description:
      "By wasmount itself, a few in a month; registrations that were told whom to trust. Failures are in the log.",
    unit: "short",
    queries: [
      [
        `sum(increase(wasmount_certificate_rotations_total{${INSTANCES}}[1h])) by (kind, result)`,
        "{{kind}} {{result}}",
      ],
      [`sum(increase(wasmount_ca_bundle_patches_total{${INSTANCES}}[1h])) by (result)`, "registrations {{result}}"],
    ],
  },
  {
    title: "Slots of meshes",
    description:
      "Istio's EnvoyFilters and Kuma's MeshProxyPatches by how they stand. Missing or altered ones let running pods serve unfiltered.",
    unit: "short",
    queries: [
      [`max(wasmount_istio_slots{${INSTANCES}}) by (state)`, "Istio {{state}}"],
      [`max(wasmount_kuma_slots{${INSTANCES}}) by (state)`, "Kuma {{state}}"],
    ],
  },
  {
    title: "CPU",
    description: "Cores that each replica uses.",
    unit: "none",
    queries: [[`rate(process_cpu_seconds_total{${INSTANCES}}[$__rate_interval])`, "{{instance}}"]],
  },
  {
    title: "Memory",
    description: "Resident set of each replica.",
    unit: "bytes",
    queries: [[`process_resident_memory_bytes{${INSTANCES}}`, "{{instance}}"]],
  },
];

const COLUMNS = 2;
const WIDTH = 24 / COLUMNS;
const HEIGHT = 8;

/** The dashboard of the webhook's metrics, as Grafana imports it. */
export function dashboard(): object {
  const datasource = { type: "prometheus", uid: "$datasource" };
  return {
    title: "wasmount webhook",
    uid: "wasmount-webhook",
    tags: ["wasmount"],
    schemaVersion: 39,
    editable: true,
    refresh: "30s",
    time: { from: "now-6h", to: "now" },
    templating: {
      list: [
        { name: "datasource", type: "datasource", query: "prometheus", label: "Data source" },
        {
          name: "job",
          type: "query",
          label: "Job",
          datasource,
          query: "label_values(wasmount_admission_decisions_total, job)",
          includeAll: true,
          multi: true,
          refresh: 2,
        },
      ],
    },
    panels: panels.map(({ title, description, unit, queries }, index) => ({
      id: index + 1,
      type: "timeseries",
      title,
      description,
      datasource,
      gridPos: { x: (index % COLUMNS) * WIDTH, y: Math.floor(index / COLUMNS) * HEIGHT, w: WIDTH, h: HEIGHT },
      fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
      options: { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi" } },
      targets: queries.map(([expr, legendFormat], query) => ({
        refId: String.fromCharCode("A".charCodeAt(0) + query),
        datasource,
        expr,
        legendFormat,
      })),
    })),
  };
}
