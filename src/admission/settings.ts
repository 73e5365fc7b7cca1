import { isRefusal, type OrRefusal, type Refusal, refuse } from "../decision/refusal.ts";
import type { Phase } from "../envoy/discovered-filter.ts";
import type { RuntimeFailure } from "../envoy/filter-file.ts";
import { DNS_LABEL } from "../kube/dns-label.ts";
import type { Namespace } from "../kube/namespace.ts";
import type { Pod } from "../kube/pod.ts";
import { filterConfig, isYaml } from "./filter-config.ts";
import { type FilterKey, INJECT, LOCKED, type PodKey, PREFIX, parseKey, STATUS } from "./key.ts";

/** What the pod's author and the namespace's owner asked for, merged and checked. */
export interface Settings {
  /** In chain order inside each phase. */
  readonly filters: readonly FilterSettings[];
  readonly proxyContainer: string | null;
  readonly proxyConfig: string | null;
}

export interface FilterSettings {
  readonly name: string;
  /** The reference as written. */
  readonly module: string;
  readonly config: string | null;
  readonly phase: Phase;
  readonly order: number;
  readonly rootId: string | null;
  readonly direction: Direction;
  readonly runtimeFailure: RuntimeFailure;
}

/** Which traffic a filter sees, from the pod's point of view. */
export type Direction = (typeof directions)[number];

const directions = ["inbound", "outbound", "gateway"] as const;
const phases = ["first", "last"] as const;
const runtimeFailures = ["closed", "open", "reload"] as const;

export interface SettingsLimits {
  readonly filters: number;
  readonly configBytes: number;
}

/** One annotation with the object it was written on, for messages. */
interface Written {
  readonly value: string;
  readonly where: string;
}

type FilterOptions = Partial<Record<FilterKey, Written>>;

/** Whether a namespace's filters are locked. */
export function isLocked(namespace: Namespace): boolean {
  return namespace.labels[LOCKED] === "true";
}

/** Whether injection is switched on: a locked namespace decides alone, else the pod's label wins over the namespace's. */
export function readSwitch(pod: Pod, namespace: Namespace): OrRefusal<"on" | "off" | "opted-out"> {
  const own = pod.metadata.labels?.[INJECT];
  const inherited = namespace.labels[INJECT];
  const switches: readonly [label: string, value: string | undefined, where: string][] = [
    [INJECT, own, "the pod"],
    [INJECT, inherited, `namespace ${namespace.name}`],
    [LOCKED, namespace.labels[LOCKED], `namespace ${namespace.name}`],
  ];
  for (const [label, value, where] of switches) {
    if (value !== undefined && value !== "true" && value !== "false") {
      return refuse("BadSwitch", `label ${label}=${quote(value)} on ${where}: "true" and "false" are allowed`);
    }
  }
  if (isLocked(namespace)) {
    return own === "false"
      ? refuse("Locked", `label ${INJECT}=false on the pod: namespace ${namespace.name} is locked`)
      : "on";
  }
  if (own === "false") return "opted-out";
  return own === "true" || inherited === "true" ? "on" : "off";
}

/**
 * Merges the annotations of namespace and pod, key by key, the pod's over the namespace's, and checks each one.
 * Nothing under our prefix is ignored: what is not understood is refused.
 */
export function readSettings(pod: Pod, namespace: Namespace, limits: SettingsLimits): OrRefusal<Settings> {
  const filters = new Map<string, FilterOptions>();
  const whole: Partial<Record<PodKey, Written>> = {};
  const own = Object.keys(pod.metadata.annotations ?? {}).find(key => key.startsWith(PREFIX) && key !== STATUS);
  if (own !== undefined && isLocked(namespace)) {
    return refuse("Locked", `annotation ${own} on the pod: namespace ${namespace.name} is locked, leave it out`);
  }
  const sources = [
    { annotations: namespace.annotations, where: `namespace ${namespace.name}` },
    { annotations: pod.metadata.annotations ?? {}, where: "the pod" },
  ];
  for (const { annotations, where } of sources) {
    for (const [annotation, value] of Object.entries(annotations)) {
      const problem = collect(annotation, { value, where }, filters, whole);
      if (problem) return problem;
    }
  }
  const wanted = readFilters(filters, limits);
  if (isRefusal(wanted)) return wanted;
  return {
    filters: wanted,
    proxyContainer: whole["proxy-container"]?.value ?? null,
    proxyConfig: whole["proxy-config"]?.value ?? null,
  };
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

function checkPodKey(annotation: string, key: PodKey, { value, where }: Written): Refusal | null {
  const bad = (allowed: string) =>
    refuse("BadValue", `annotation ${annotation}=${quote(value)} on ${where}: ${allowed}`);
  if (key === "proxy-container" && !DNS_LABEL.test(value)) return bad("the name of a container is allowed");
  if (key === "proxy-config" && !/^\/[^\0]{1,1023}$/.test(value)) {
    return bad("an absolute path inside the proxy container is allowed");
  }
  return null;
}

function readFilters(options: Map<string, FilterOptions>, limits: SettingsLimits): OrRefusal<FilterSettings[]> {
  const excess = refuseExcess(options, limits);
  if (excess) return excess;
  const filters: FilterSettings[] = [];
  for (const [name, written] of options) {
    const filter = readFilter(name, written, limits);
    if (isRefusal(filter)) return filter;
    if (filter !== null) filters.push(filter);
  }
  return filters.sort((a, b) => a.order - b.order || (a.name < b.name ? -1 : 1));
}

/** Counts before anything is parsed: what is too much must cost little. */
function refuseExcess(options: Map<string, FilterOptions>, limits: SettingsLimits): Refusal | null {
  const used = [...options].filter(([, { module }]) => module !== undefined && module.value !== "none");
  if (used.length > limits.filters) {
    return refuse("TooManyFilters", `${used.length} filters, at most ${limits.filters} are allowed`);
  }
  let yamlBytes = 0;
  for (const [name, { config }] of options) {
    if (config === undefined) continue;
    const bytes = Buffer.byteLength(config.value);
    if (bytes > limits.configBytes) {
      const annotation = `annotation ${PREFIX}config.${name} on ${config.where}`;
      return refuse("ConfigTooLarge", `${annotation} has ${bytes} bytes, at most ${limits.configBytes} are allowed`);
    }
    if (isYaml(config.value)) yamlBytes += bytes;
  }
  if (yamlBytes <= limits.configBytes) return null;
  const found = `the pod's configurations in YAML have ${yamlBytes} bytes together`;
  return refuse("ConfigTooLarge", `${found}, at most ${limits.configBytes} are allowed: write the large ones as JSON`);
}

function readFilter(name: string, written: FilterOptions, limits: SettingsLimits): OrRefusal<FilterSettings | null> {
  const module = written.module;
  if (module === undefined) {
    const [key, option] = Object.entries(written)[0] as [FilterKey, Written];
    const missing = `there is no ${PREFIX}module.${name} on pod or namespace`;
    return refuse("OrphanOption", `annotation ${PREFIX}${key}.${name} on ${option.where}: ${missing}`);
  }
  const config = readConfig(name, written.config, limits);
  if (isRefusal(config)) return config;
  const phase = readChoice("phase", name, written.phase, phases, "last");
  if (isRefusal(phase)) return phase;
  const direction = readChoice("direction", name, written.direction, directions, "inbound");
  if (isRefusal(direction)) return direction;
  const runtimeFailure = readChoice("runtime-failure", name, written["runtime-failure"], runtimeFailures, "closed");
  if (isRefusal(runtimeFailure)) return runtimeFailure;
  const order = readOrder(name, written.order);
  if (isRefusal(order)) return order;
  const rootId = readRootId(name, written["root-id"]);
  if (isRefusal(rootId)) return rootId;
  // Only now: a bad option is refused even beside a filter that is removed.
  if (module.value === "none") return null;
  return { name, module: module.value, config, phase, order, rootId, direction, runtimeFailure };
}

function readConfig(name: string, written: Written | undefined, limits: SettingsLimits): OrRefusal<string | null> {
  if (written === undefined) return null;
  const annotation = `annotation ${PREFIX}config.${name} on ${written.where}`;
  return filterConfig(annotation, written.value, limits.configBytes);
}

function readChoice<Choice extends string>(
  key: FilterKey,
  name: string,
  written: Written | undefined,
  choices: readonly Choice[],
  fallback: Choice,
): OrRefusal<Choice> {
  if (written === undefined) return fallback;
  const chosen = choices.find(choice => choice === written.value);
  if (chosen !== undefined) return chosen;
  const allowed = choices.map(choice => `"${choice}"${choice === fallback ? " (the default)" : ""}`).join(", ");
  return badOption(key, name, written, `allowed are ${allowed}`);
}

function readOrder(name: string, written: Written | undefined): OrRefusal<number> {
  if (written === undefined) return 0;
  if (/^-?\d{1,6}$/.test(written.value)) return Number(written.value);
  return badOption("order", name, written, "an integer from -999999 to 999999 is allowed, lower runs first");
}

function readRootId(name: string, written: Written | undefined): OrRefusal<string | null> {
  if (written === undefined) return null;
  if (/^[^\p{Cc}\p{Cs}]{0,256}$/u.test(written.value)) return written.value;
  return badOption("root-id", name, written, "up to 256 characters without control characters are allowed");
}

function badOption(key: FilterKey, name: string, { value, where }: Written, allowed: string): Refusal {
  return refuse("BadValue", `annotation ${PREFIX}${key}.${name}=${quote(value)} on ${where}: ${allowed}`);
}

/** A user's value in a message: quoted, escaped and short. */
function quote(value: string): string {
  return JSON.stringify(value.length > 64 ? `${value.slice(0, 61)}...` : value);
}
