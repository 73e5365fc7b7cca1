import type { Duplex } from "node:stream";
import { VERSIONLESS } from "../dataplanes/admin-ports.ts";
import { discoveredName } from "../envoy/discovered-filter.ts";
import type { ClusterView } from "./cluster-view.ts";
import { type ServedVersions, servedVersions } from "./envoy-statistics.ts";
import { DiagnosisError } from "./error.ts";
import type { FilterReport, PodReport } from "./pod-report.ts";

/**
 * What a proxy does with a filter, by its own word: `serving`, the version that the fetcher wrote; `differs`, another;
 * `denying`, none, so that all requests are denied; `unknown`, what could not be learnt. From the best to the worst.
 */
export const liveStates = ["serving", "unknown", "denying", "differs"] as const;
export type LiveState = (typeof liveStates)[number];

export interface LiveFilter {
  readonly state: LiveState;
  /** What Envoy says that it serves: "" for nothing, null where it doesn't say. */
  readonly version: string | null;
  /** That of the filter file which the fetcher wrote; null where it doesn't say. */
  readonly wanted: string | null;
  /** Why, where it is unknown; "" elsewhere. */
  readonly why: string;
}

/** Connections to pods at a time: each costs the API server and a kubelet one. */
const AT_A_TIME = 8;
/** For a pod, from the connection to the last byte. */
const POD_MS = 10_000;
/** Each pod is a connection by way of its kubelet: a cluster is not asked whole. */
const MAX_PODS = 2_000;

/**
 * Asks the proxies of all pods that run with filters what they serve. What can't be learnt of a pod is said of that pod.
 * @throws DiagnosisError TooMany
 */
export async function withLiveFilters(
  cluster: ClusterView,
  reports: readonly PodReport[],
  patienceMs: number = POD_MS,
): Promise<readonly PodReport[]> {
  const asked = reports.filter(isAsked).length;
  if (asked > MAX_PODS) {
    throw new DiagnosisError(
      "TooMany",
      `${asked} pods would be asked, at most ${MAX_PODS} are: name a namespace or labels`,
    );
  }
  const found: PodReport[] = [...reports];
  const indices = found.keys();
  const worker = async () => {
    // All take from the same iterator.
    for (const index of indices) found[index] = await withLive(cluster, found[index] as PodReport, patienceMs);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  return found;
}

/** The worst of a pod's filters; null for a pod that was not asked about. */
export function liveStateOf({ filters }: PodReport): LiveState | null {
  const states = filters.flatMap(({ live }) => (live == null ? [] : [liveStates.indexOf(live.state)]));
  return states.length === 0 ? null : (liveStates[Math.max(...states)] ?? null);
}

/** Whether a pod's proxy does something else with a filter than it is to. */
export function isLiveWrong(report: PodReport): boolean {
  const state = liveStateOf(report);
  return state === "differs" || state === "denying";
}

/** One that does not run serves nothing. */
function isAsked({ proxy }: PodReport): boolean {
  return proxy?.running === true;
}

async function withLive(cluster: ClusterView, report: PodReport, patienceMs: number): Promise<PodReport> {
  if (!isAsked(report)) return report;
  const served = await askPod(cluster, report, patienceMs);
  const live = ({ slot, version: wanted }: FilterReport): LiveFilter => {
    if (typeof served === "string") return { state: "unknown", version: null, wanted, why: served };
    return compared(served.get(discoveredName(slot ?? "")) ?? [], wanted);
  };
  return { ...report, filters: report.filters.map(filter => ({ ...filter, live: live(filter) })) };
}

/** @returns what it says, or why it can't be asked */
async function askPod(cluster: ClusterView, report: PodReport, patienceMs: number): Promise<ServedVersions | string> {
  const { namespace, pod, proxy } = report;
  if (proxy !== null && VERSIONLESS.has(proxy.dataPlane)) {
    return `data plane ${proxy.dataPlane} loads modules by path, of which Envoy tells no version`;
  }
  if (proxy?.adminPort == null) return "the port of Envoy's administration interface is not known";
  const stop = AbortSignal.timeout(patienceMs);
  try {
    const connection = await connected(cluster.connect({ namespace, pod, port: proxy.adminPort }), stop);
    return await servedVersions(connection, stop);
  } catch (error) {
    if (error instanceof DiagnosisError) return error.message;
    throw error;
  }
}

function connected(connecting: Promise<Duplex>, stop: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    stop.addEventListener("abort", () => reject(new DiagnosisError("Unreachable", "no connection in time")));
    connecting.then(connection => {
      if (stop.aborted) connection.destroy();
      else resolve(connection);
    }, reject);
  });
}

/** A filter that stands in several chains has one statistic; were there several, all must be good. */
function compared(versions: readonly string[], wanted: string | null): LiveFilter {
  const version = versions.find(one => one !== wanted) ?? versions[0] ?? null;
  const said = (state: LiveState, why = ""): LiveFilter => ({ state, version, wanted, why });
  if (version === null) {
    return said("unknown", "Envoy has no statistic of the filter: no listener has it, or the statistics are left out");
  }
  if (version === "") return said("denying");
  if (wanted === null) return said("unknown", "the fetcher's last words do not say which version it wrote");
  return said(version === wanted ? "serving" : "differs");
}
