import { closest } from "fastest-levenshtein";
import { isSelectedBy } from "../dataplanes/data-plane.ts";
import { isRefusal, type OrRefusal, type Refusal, refuse } from "../decision/refusal.ts";
import { DNS_LABEL, isDnsSubdomain } from "../kube/dns-label.ts";
import type { Namespace } from "../kube/namespace.ts";
import type { Pod, ResourceRequirements } from "../kube/pod.ts";
import { type FilterOptions, type FilterSettings, NONE, readFilters, type SettingsLimits } from "./filter-settings.ts";
import { INJECT, INJECTED, LOCKED, PLAN, type PodKey, PREFIX, parseKey, STATUS } from "./key.ts";
import { readResources } from "./resource-wishes.ts";
import { isLocked } from "./switch.ts";
import { quote, type Written } from "./written.ts";

const THE_POD = "the pod";

/** What the pod's author and the namespace's owner asked for, merged and checked. */
export interface Settings {
  /** In chain order inside each phase. */
  readonly filters: readonly FilterSettings[];
  readonly proxyContainer: string | null;
  readonly proxyConfig: string | null;
  /** The listeners that are to have the filters, where the pod doesn't tell them; none where nothing was said. */
  readonly listeners: readonly string[];
  /** Whether the namespace lets pass what is not HTTP, and so no filter sees. */
  readonly tcpAllowed: boolean;
  /** Name of a Secret in the pod's namespace that takes the place of the pod's imagePullSecrets. */
  readonly pullSecret: string | null;
  /** What the fetcher is to have in place of what the operator configured, as far as it is named. */
  readonly resources: ResourceRequirements | null;
  /** Filters that the pod removes and its namespace doesn't have: a name that may be misspelt. */
  readonly removedInVain: readonly string[];
}

/**
 * Merges the annotations of namespace and pod, key by key, the pod's over the namespace's, and checks each one.
 * Nothing under our prefix is ignored: what is not understood is refused.
 */
export function readSettings(pod: Pod, namespace: Namespace, limits: SettingsLimits): OrRefusal<Settings> {
  const filters = new Map<string, FilterOptions>();
  const whole: Partial<Record<PodKey, Written>> = {};
  const unwanted = refuseLabels(pod, namespace) ?? refuseLocked(pod, namespace);
  if (unwanted) return unwanted;
  const collectAll = (annotations: Readonly<Record<string, string>>, where: string) => {
    for (const [annotation, value] of Object.entries(annotations)) {
      const problem = collect(annotation, { value, where }, filters, whole);
      if (problem) return problem;
    }
    return null;
  };
  const refused = collectAll(namespace.annotations, `namespace ${namespace.name}`) ?? refuseNone(filters);
  if (refused) return refused;
  const inherited = new Set([...filters].flatMap(([name, { module }]) => (module ? [name] : [])));
  const problem = collectAll(pod.metadata.annotations ?? {}, THE_POD);
  if (problem) return problem;
  const removed = [...filters].filter(([, { module }]) => module?.value === NONE).map(([name]) => name);
  const wanted = readFilters(filters, limits);
  if (isRefusal(wanted)) return wanted;
  const resources = whole.resources === undefined ? null : readResources(whole.resources);
  if (isRefusal(resources)) return resources;
  return {
    filters: wanted,
    proxyContainer: whole["proxy-container"]?.value ?? null,
    proxyConfig: whole["proxy-config"]?.value ?? null,
    listeners: listOf(whole["proxy-listeners"]?.value ?? ""),
    tcpAllowed: whole.tcp?.value === "allow",
    pullSecret: whole["pull-secret"]?.value ?? null,
    resources,
    removedInVain: removed.filter(name => !inherited.has(name)),
  };
}

/** A namespace inherits from nobody: there, "none" would drop its own filter. */
function refuseNone(filters: ReadonlyMap<string, FilterOptions>): Refusal | null {
  for (const [name, { module }] of filters) {
    if (module?.value !== NONE) continue;
    const annotation = `annotation ${PREFIX}module.${name}=none on ${module.where}`;
    return refuse("BadValue", `${annotation}: "none" is for pods, to remove a namespace's filter; leave it out here`);
  }
  return null;
}

/** A label that is misspelled switches nothing, which nobody would notice. */
function refuseLabels(pod: Pod, namespace: Namespace): Refusal | null {
  const sources = [
    { labels: namespace.labels, known: [INJECT, LOCKED], where: `namespace ${namespace.name}` },
    { labels: pod.metadata.labels ?? {}, known: [INJECT, INJECTED, PLAN], where: THE_POD },
  ];
  for (const { labels, known, where } of sources) {
    const stranger = Object.keys(labels).find(
      key => key.startsWith(PREFIX) && !known.includes(key) && !(where === THE_POD && isSelectedBy(key)),
    );
    if (stranger !== undefined) {
      return refuse("UnknownKey", `label ${stranger} on ${where}: did you mean ${closest(stranger, known)}?`);
    }
  }
  return null;
}

function refuseLocked(pod: Pod, namespace: Namespace): Refusal | null {
  if (!isLocked(namespace)) return null;
  const own = Object.keys(pod.metadata.annotations ?? {}).find(key => key.startsWith(PREFIX) && key !== STATUS);
  if (own === undefined) return null;
  return refuse("Locked", `annotation ${own} on the pod: namespace ${namespace.name} is locked, leave it out`);
}

function collect(
  annotation: string,
  written: Written,
  filters: Map<string, FilterOptions>,
  whole: Partial<Record<PodKey, Written>>,
): Refusal | null {
  const key = parseKey(annotation);
  if (key === null || key.kind === "status") return null;
  if (key.kind === "unknown") {
    return refuse("UnknownKey", `annotation ${annotation} on ${written.where}: ${key.nearest}`);
  }
  if (key.kind === "pod") {
    whole[key.key] = written;
    return checkPodKey(annotation, key.key, written);
  }
  if (!DNS_LABEL.test(key.filter)) {
    const allowed = "a filter's name is a DNS label: up to 63 of a-z, 0-9 and -, with a letter or digit at both ends";
    return refuse("BadFilterName", `annotation ${annotation} on ${written.where}: ${allowed}`);
  }
  const options = filters.get(key.filter) ?? {};
  options[key.key] = written;
  filters.set(key.filter, options);
  return null;
}

const MAX_LISTENERS = 64;

function isListeners(value: string): boolean {
  const names = listOf(value);
  return (
    names.length > 0 && names.length <= MAX_LISTENERS && names.every(name => /^[A-Za-z0-9./_-]{1,512}$/.test(name))
  );
}

function listOf(value: string): readonly string[] {
  return value
    .split(",")
    .map(name => name.trim())
    .filter(name => name !== "");
}

function checkPodKey(annotation: string, key: PodKey, { value, where }: Written): Refusal | null {
  const bad = (allowed: string) =>
    refuse("BadValue", `annotation ${annotation}=${quote(value)} on ${where}: ${allowed}`);
  if (key === "proxy-container" && !DNS_LABEL.test(value)) return bad("the name of a container is allowed");
  if (key === "proxy-config" && !/^\/[^\0]{1,1023}$/.test(value)) {
    return bad("an absolute path inside the proxy container is allowed");
  }
  if (key === "proxy-listeners" && !isListeners(value)) {
    return bad(
      `names of listeners are allowed, separated by commas: up to ${MAX_LISTENERS}, of letters, digits and ./_-`,
    );
  }
  if (key === "tcp" && where === THE_POD) return bad("it is for namespaces, leave it out here");
  if (key === "tcp" && value !== "allow" && value !== "deny")
    return bad('"allow" and "deny" (the default) are allowed');
  if (key === "pull-secret" && !isDnsSubdomain(value)) {
    return bad("the name of a Secret in the pod's namespace is allowed");
  }
  return null;
}
