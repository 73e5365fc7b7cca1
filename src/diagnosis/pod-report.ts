import { type AdmissionConfig, conclude, prepare } from "../admission/admission.ts";
import type { Decision } from "../admission/decision.ts";
import { readEligibility } from "../admission/eligibility.ts";
import type { FilterSettings } from "../admission/filter-settings.ts";
import { INJECTED } from "../admission/key.ts";
import { readPod } from "../admission/pod-object.ts";
import { sentence } from "../admission/response.ts";
import { readSettings } from "../admission/settings.ts";
import { termsOf } from "../admission/terms.ts";
import type { Config } from "../config/config.ts";
import { adminPortOf } from "../dataplanes/admin-ports.ts";
import { type DataPlane, FETCHER_NAME } from "../dataplanes/data-plane.ts";
import type { Reason } from "../decision/reason.ts";
import { isRefusal, type Refusal } from "../decision/refusal.ts";
import { type ReportedRun, readTerminationMessage } from "../fetcher/termination-message.ts";
import type { Namespace } from "../kube/namespace.ts";
import { isOver, type Pod } from "../kube/pod.ts";
import { PlanError } from "../plan/error.ts";
import type { DataPlaneName, Plan, PlanFilter } from "../plan/plan.ts";
import { planFromEnvironment, planToEnvironment } from "../plan/transport.ts";
import { UNJUDGED } from "../policies/image-judgement.ts";
import { printable } from "../printable.ts";
import type { LiveFilter } from "./live-filters.ts";
import type { FetcherStatus, StoredPod } from "./stored-pod.ts";

/**
 * How a pod stands: `Mounted`, all its modules were verified and are on its volume; `Failed`, its fetcher can't do that;
 * `Running` and `Waiting`, it is not done yet; `Uninjected`, the pod is to be filtered and has no fetcher.
 */
export const podStates = ["Mounted", "Failed", "Running", "Waiting", "Uninjected"] as const;
export type PodState = (typeof podStates)[number];

/** One pod, as `wasmount status` shows it. */
export interface PodReport {
  readonly namespace: string;
  readonly pod: string;
  /** "ReplicaSet/shop-7d9f"; null for a pod by itself. */
  readonly owner: string | null;
  /** RFC 3339. */
  readonly created: string;
  readonly state: PodState;
  /** Why: the fetcher's code, the kubelet's, or for a pod that is not injected the reason that admission would give now. */
  readonly code: string | null;
  /** The same for people; "" where there is nothing to say. */
  readonly detail: string;
  /** Why an injected pod is not what admission would make now, else null. */
  readonly outdated: string | null;
  /** The plan's hash, 64 hex digits; null without a plan that can be read. */
  readonly plan: string | null;
  /** Where its proxy can be asked; null for a pod without a plan that can be read. */
  readonly proxy: ProxyReport | null;
  /** Those of the plan; of a pod without one, those that it asks for. */
  readonly filters: readonly FilterReport[];
}

export interface ProxyReport {
  readonly dataPlane: DataPlaneName;
  /** Whether it has what it needs, and its pod runs. */
  readonly running: boolean;
  /** The port of Envoy's administration interface, on the pod's loopback; null where it is not known. */
  readonly adminPort: number | null;
}

export interface FilterReport {
  readonly name: string;
  readonly slot: string | null;
  /** As the author wrote it. */
  readonly reference: string;
  /** What runs: "registry.example/team/filter"; null where nothing does. */
  readonly repository: string | null;
  readonly digest: string | null;
  /** The policies that its image has to pass. */
  readonly policies: readonly string[];
  /** That of its filter file, which Envoy reports where it serves it, 64 hex digits; null where the fetcher does not say. */
  readonly version: string | null;
  /** What Envoy says that it serves, where it was asked. */
  readonly live?: LiveFilter | null;
}

/** What pods are held against. */
export interface Measure {
  readonly config: Config;
  readonly dataPlanes: readonly DataPlane[];
  /** Namespaces of whose pods the webhook is never asked, whatever their labels say. */
  readonly excluded: readonly string[];
}

/** Stands for the digest of a tag. */
const UNRESOLVED = `sha256:${"0".repeat(64)}`;

const DETAIL_CHARACTERS = 1_000;
/** Of a container that waits, what the kubelet says when it will not get on without help. */
const STUCK: ReadonlySet<string> = new Set([
  "CreateContainerConfigError",
  "CreateContainerError",
  "ErrImageNeverPull",
  "ErrImagePull",
  "ImageInspectError",
  "ImagePullBackOff",
  "InvalidImageName",
  "RunContainerError",
]);

/**
 * Reports on a stored pod, or null for one that wasmount has nothing to do with: neither injected nor to be. Whether it
 * is to be, admission itself says, with the namespace as it is now.
 */
export function podReport(stored: StoredPod, namespace: Namespace, measure: Measure): PodReport | null {
  const injected = stored.metadata.labels?.[INJECTED] !== undefined || fetcherOf(stored) !== undefined;
  const found = injected ? injectedPod(stored, namespace, measure) : uninjectedPod(stored, namespace, measure);
  if (found === null) return null;
  const { name, creationTimestamp, ownerReferences } = stored.metadata;
  const owner = ownerReferences?.find(({ controller }) => controller === true);
  return {
    namespace: namespace.name,
    pod: name,
    owner: owner ? `${owner.kind}/${owner.name}` : null,
    created: creationTimestamp ?? "",
    ...found,
  };
}

type Found = Omit<PodReport, "namespace" | "pod" | "owner" | "created">;

function uninjectedPod(stored: StoredPod, namespace: Namespace, measure: Measure): Found | null {
  const { phase } = stored.status ?? {};
  // It runs no more, or not for long: there is nothing to be filtered.
  if (isOver(phase) || stored.metadata.deletionTimestamp !== undefined) return null;
  if (measure.excluded.includes(namespace.name)) return null;
  const pod = asPod(stored);
  const { config } = measure;
  const now = decisionAbout(pod, namespace, measure);
  if (now.outcome === "Skipped") return null;
  const wanted = readSettings(pod, namespace, config.limits);
  const filters = isRefusal(wanted) ? [] : wanted.filters.map(wantedFilter);
  const detail =
    now.outcome === "Injected"
      ? "created while the webhook was not asked, or before it was switched on: create it anew"
      : `admission would now say ${sentence(now).replace(/^wasmount: /, "")}`;
  return { ...uninjected(now.reason, detail), filters };
}

/** What admission would make of a pod now, as far as no registry has to be asked: tags count as resolved, images as allowed. */
function decisionAbout(pod: Pod, namespace: Namespace, { config, dataPlanes }: Measure): Decision {
  const admission = admissionOf(config);
  const prepared = prepare(pod, namespace, dataPlanes, admission);
  if ("outcome" in prepared) return prepared;
  const terms = termsOf(config, prepared.settings, namespace);
  if (isRefusal(terms)) return { outcome: "Denied", reason: terms.reason, detail: terms.detail };
  const images = prepared.references.map(({ reference }) => ({
    digest: reference.digest ?? UNRESOLVED,
    judgement: UNJUDGED,
  }));
  return conclude(pod, namespace, admission, prepared, images, terms);
}

function uninjected(reason: Reason, detail: string): Found {
  return { state: "Uninjected", code: reason, detail, outdated: null, plan: null, proxy: null, filters: [] };
}

function injectedPod(stored: StoredPod, namespace: Namespace, { config }: Measure): Found {
  const fetcher = fetcherOf(stored);
  const status = stored.status?.initContainerStatuses?.find(({ name }) => name === FETCHER_NAME);
  let carried: { readonly plan: Plan; readonly hash: string };
  try {
    carried = planFromEnvironment(Object.fromEntries((fetcher?.env ?? []).map(({ name, value }) => [name, value])));
  } catch (error) {
    if (!(error instanceof PlanError)) throw error;
    const detail = `its plan can't be read: ${shown(error.message)}`;
    return { state: "Failed", code: error.code, detail, outdated: null, plan: null, proxy: null, filters: [] };
  }
  const { plan, hash } = carried;
  const outcome = outcomeOf(status, stored.status?.phase);
  const run = mountedBy(status);
  return {
    ...outcome,
    outdated: outdatedBy(asPod(stored), namespace, config, plan),
    plan: hash,
    proxy: {
      dataPlane: plan.dataPlane,
      running: outcome.state === "Mounted" && stored.status?.phase === "Running",
      adminPort: plan.dataPlane === "envoy" ? (run?.adminPort ?? null) : adminPortOf(plan.dataPlane, asPod(stored)),
    },
    filters: plan.filters.map(filter => plannedFilter(filter, run)),
  };
}

function endOf({ state = {}, lastState = {} }: Partial<FetcherStatus> = {}) {
  return state.terminated ?? (state.running ? undefined : lastState.terminated);
}

/** What a fetcher that ended well says that it did; null where it does not. */
function mountedBy(status: FetcherStatus | undefined): ReportedRun | null {
  const ended = endOf(status);
  return ended?.exitCode === 0 ? readTerminationMessage(ended.message ?? "").summary : null;
}

/** How far the fetcher came, by what its kubelet reports. */
function outcomeOf(status: FetcherStatus | undefined, phase = ""): Pick<Found, "state" | "code" | "detail"> {
  const { state = {} } = status ?? {};
  const ended = endOf(status);
  if (ended?.exitCode === 0) return { state: "Mounted", code: null, detail: "" };
  if (ended !== undefined) return { state: "Failed", ...failureOf(ended) };
  if (state.running) return { state: "Running", code: null, detail: "the fetcher is at work" };
  const { reason = "", message = "" } = state.waiting ?? {};
  if (STUCK.has(reason)) return { state: "Failed", code: reason, detail: shown(message) };
  // Its node is gone, or would not have it: nothing is at work.
  if (phase === "Failed") return { state: "Failed", code: "PodFailed", detail: "the pod ended before its fetcher ran" };
  return { state: "Waiting", code: reason || null, detail: shown(message) };
}

/** The fetcher's last words are "wasmount-fetch: <code>: <what was wrong>". */
function failureOf({ exitCode, reason, message = "" }: NonNullable<FetcherStatus["state"]["terminated"]>): {
  readonly code: string;
  readonly detail: string;
} {
  const [, code, detail] = /^wasmount-fetch: ([A-Za-z]{1,64}): (.*)$/m.exec(message) ?? [];
  if (code !== undefined) return { code, detail: shown(detail ?? "") };
  const word = /^[A-Za-z]{1,64}$/.test(reason ?? "") ? reason : undefined;
  return { code: word ?? "Unexpected", detail: shown(message) || `exit code ${exitCode}` };
}

/** How the filters that are wanted now differ from those that run. Tags are not resolved again: a moved tag is no difference. */
function outdatedBy(pod: Pod, namespace: Namespace, config: Config, plan: Plan): string | null {
  const eligibility = readEligibility(pod, namespace);
  if (isRefusal(eligibility)) return refusedNow(eligibility);
  if (eligibility.kind === "skipped") return `it would not be injected now (${eligibility.reason})`;
  const wanted = readSettings(pod, namespace, config.limits);
  if (isRefusal(wanted)) return refusedNow(wanted);
  const differences = [
    ...named("no longer wanted", plan.filters, wanted.filters),
    ...named("wanted but not there", wanted.filters, plan.filters),
    ...plan.filters.flatMap(filter => {
      const now = wanted.filters.find(({ name }) => name === filter.name);
      const members = now === undefined ? [] : CARRIED.filter(member => !same(filter[memberOf(member)], now[member]));
      return members.length === 0 ? [] : [`${filter.name} has another ${members.join(", ")}`];
    }),
  ];
  if (differences.length > 0) return differences.join("; ");
  return order(plan.filters) === order(wanted.filters) ? null : "its filters run in another order";
}

/** What of a filter's settings its plan says, too. */
const CARRIED = ["module", "config", "phase", "rootId", "onFailure", "runtimeFailure", "capabilities"] as const;

function memberOf(setting: (typeof CARRIED)[number]): keyof PlanFilter {
  return setting === "module" ? "reference" : setting;
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

interface Placed {
  readonly name: string;
  readonly phase: string;
}

function named(what: string, these: readonly Placed[], those: readonly Placed[]): string[] {
  const names = these.filter(({ name }) => !those.some(other => other.name === name)).map(({ name }) => name);
  return names.length === 0 ? [] : [`${what}: ${names.join(", ")}`];
}

/** Phases are chains of their own. */
function order(filters: readonly Placed[]): string {
  const inPhase = (wanted: string) => filters.filter(({ phase }) => phase === wanted).map(({ name }) => name);
  return JSON.stringify([inPhase("first"), inPhase("last")]);
}

function refusedNow(refusal: Refusal): string {
  return `it would be refused now: ${sentence(refusal).replace(/^wasmount: /, "")}`;
}

function plannedFilter(filter: PlanFilter, run: ReportedRun | null): FilterReport {
  const { name, slot, reference, repository, digest, trust } = filter;
  const module = run?.modules?.find(({ filters }) => filters.includes(name));
  const version = module?.versions?.[module.filters.indexOf(name)] ?? null;
  return { name, slot, reference, repository, digest, policies: trust?.rules ?? [], version };
}

function wantedFilter({ name, module }: FilterSettings): FilterReport {
  return { name, slot: null, reference: module, repository: null, digest: null, policies: [], version: null };
}

function fetcherOf({ spec }: StoredPod) {
  return spec.initContainers?.find(({ name }) => name === FETCHER_NAME);
}

/** An API server stores pods of the right shape only. @throws ReviewError */
function asPod(stored: StoredPod): Pod {
  return readPod(stored);
}

/** Nothing is signed, pinned or packed on a laptop: what would be wanted is all that is asked. */
function admissionOf(config: Config): AdmissionConfig {
  return { ...config, pack: planToEnvironment, sign: null, keys: new Map() };
}

function shown(text: string): string {
  const line = printable(text.replaceAll(/\s+/g, " ").trim());
  return line.length > DETAIL_CHARACTERS ? `${line.slice(0, DETAIL_CHARACTERS)}…` : line;
}
