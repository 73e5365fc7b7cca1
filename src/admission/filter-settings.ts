import { closest, distance } from "fastest-levenshtein";
import { isRefusal, type OrRefusal, type Refusal, refuse } from "../decision/refusal.ts";
import type { Phase } from "../envoy/discovered-filter.ts";
import type { RuntimeFailure } from "../envoy/filter-file.ts";
import type { OnFailure } from "../plan/plan.ts";
import { hostCalls } from "../wasm/capabilities.ts";
import { filterConfig, isYaml } from "./filter-config.ts";
import { type FilterKey, PREFIX } from "./key.ts";
import { quote, type Written } from "./written.ts";

export interface FilterSettings {
  readonly name: string;
  /** The reference as written. */
  readonly module: string;
  readonly config: string | null;
  readonly phase: Phase;
  readonly order: number;
  readonly rootId: string | null;
  readonly direction: Direction;
  readonly onFailure: OnFailure;
  readonly runtimeFailure: RuntimeFailure;
  /** The host calls that the module may make, sorted; null for all. */
  readonly capabilities: readonly string[] | null;
}

/** Which traffic a filter sees, from the pod's point of view. */
export type Direction = (typeof directions)[number];

const directions = ["inbound", "outbound", "gateway"] as const;
const phases = ["first", "last"] as const;
const onFailures = ["block", "open"] as const;
const runtimeFailures = ["closed", "open", "reload"] as const;

export interface SettingsLimits {
  readonly filters: number;
  readonly configBytes: number;
}

/** The value of `module.<f>` on a pod that removes its namespace's filter. */
export const NONE = "none";

/** The annotations of one filter, as written. */
export type FilterOptions = Partial<Record<FilterKey, Written>>;

/** Checks all filters' annotations. @returns those that are wanted, in chain order inside each phase */
export function readFilters(options: Map<string, FilterOptions>, limits: SettingsLimits): OrRefusal<FilterSettings[]> {
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
  const used = [...options].filter(([, { module }]) => module !== undefined && module.value !== NONE);
  if (used.length > limits.filters) {
    return refuse("TooManyFilters", `${used.length} filters, at most ${limits.filters} are allowed`);
  }
  const configs: { readonly value: string; readonly bytes: number }[] = [];
  for (const [name, { config }] of options) {
    if (config === undefined) continue;
    const bytes = Buffer.byteLength(config.value);
    if (bytes > limits.configBytes) {
      const annotation = `annotation ${PREFIX}config.${name} on ${config.where}`;
      return refuse("ConfigTooLarge", `${annotation} has ${bytes} bytes, at most ${limits.configBytes} are allowed`);
    }
    configs.push({ value: config.value, bytes });
  }
  // Most are small together: then what is YAML need not be told.
  if (sumOf(configs) <= limits.configBytes) return null;
  const yamlBytes = sumOf(configs.filter(({ value }) => isYaml(value)));
  if (yamlBytes <= limits.configBytes) return null;
  const found = `the pod's configurations in YAML have ${yamlBytes} bytes together`;
  return refuse("ConfigTooLarge", `${found}, at most ${limits.configBytes} are allowed: write the large ones as JSON`);
}

function sumOf(configs: readonly { readonly bytes: number }[]): number {
  return configs.reduce((sum, { bytes }) => sum + bytes, 0);
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
  const onFailure = readChoice("on-failure", name, written["on-failure"], onFailures, "block");
  if (isRefusal(onFailure)) return onFailure;
  const capabilities = readCapabilities(name, written.capabilities);
  if (isRefusal(capabilities)) return capabilities;
  const order = readOrder(name, written.order);
  if (isRefusal(order)) return order;
  const rootId = readRootId(name, written["root-id"]);
  if (isRefusal(rootId)) return rootId;
  // Only now: a bad option is refused even beside a filter that is removed.
  if (module.value === NONE) return null;
  return {
    name,
    module: module.value,
    config,
    phase,
    order,
    rootId,
    direction,
    onFailure,
    runtimeFailure,
    capabilities,
  };
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
  return badOption(key, name, written, `allowed are ${allowed}${nearest(written.value, choices)}`);
}

/** Names the choice that was probably meant, where one is near. */
function nearest(value: string, choices: readonly string[]): string {
  const text = value.trim().toLowerCase().slice(0, 32);
  const choice = closest(text, [...choices]);
  return distance(text, choice) <= Math.max(2, choice.length / 3) ? `, did you mean "${choice}"?` : "";
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

function readCapabilities(name: string, written: Written | undefined): OrRefusal<readonly string[] | null> {
  if (written === undefined) return null;
  const calls = written.value === "" ? [] : written.value.split(",").map(call => call.trim());
  const stranger = calls.find(call => !hostCalls.includes(call));
  if (stranger === undefined) return [...new Set(calls)].sort();
  const nearest = closest(stranger.slice(0, 64), [...hostCalls]);
  return badOption(
    "capabilities",
    name,
    written,
    `${quote(stranger)} is not a host call of Proxy-Wasm, did you mean ${nearest}? A comma-separated list of host calls is allowed`,
  );
}

function badOption(key: FilterKey, name: string, { value, where }: Written, allowed: string): Refusal {
  return refuse("BadValue", `annotation ${PREFIX}${key}.${name}=${quote(value)} on ${where}: ${allowed}`);
}
