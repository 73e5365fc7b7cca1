import { median } from "./measurement.ts";
import { type Kind, kinds } from "./startup-pods.ts";
import type { Start } from "./startup-run.ts";

export interface StartupReport {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string };
  readonly load: { readonly least: number; readonly most: number };
  readonly pods: number;
  /** By kind, in the order of their creation. */
  readonly starts: Readonly<Record<string, readonly Start[]>>;
}

/** One number of a start; null where the kind has none. */
type Measure = (start: Start) => number | null;

const HEADINGS: Readonly<Record<Kind, string>> = {
  bare: "no filter",
  padded: "idle init",
  filtered: "filter",
};

/** Where a pod's time goes, one after the other: the sums of one pod's are its whole time. */
const STEPS: readonly (readonly [string, Measure])[] = [
  ["the creating call, with admission", start => start.createdMs],
  ["to the first line of the first container", start => (start.first ?? start.istioInit).fromMs - start.createdMs],
  ["from its first line to its last", ({ first }) => (first === null ? null : first.toMs - first.fromMs)],
  ["to istio-init's first line", ({ first, istioInit }) => (first === null ? null : istioInit.fromMs - first.toMs)],
  ["from istio-init's first line to its last", ({ istioInit }) => istioInit.toMs - istioInit.fromMs],
  ["to istio-proxy's first line", ({ istioInit, proxyMs }) => proxyMs - istioInit.toMs],
  ["to Ready", ({ proxyMs, readyMs }) => readyMs - proxyMs],
];

const WIDTHS = { label: 44, cell: 12 } as const;

/** The result for people. */
export function startupTable({ machine, load, pods, starts }: StartupReport): string {
  const of = (kind: Kind, measure: Measure) =>
    (starts[kind] ?? []).map(measure).filter((value): value is number => value !== null);
  const row = (label: string, cell: (kind: Kind) => number | null) => {
    const cells = kinds.map(kind => cell(kind)?.toFixed(0) ?? "");
    return `${label.padEnd(WIDTHS.label)}${cells.map(text => text.padStart(WIDTHS.cell)).join("")}`.trimEnd();
  };
  const ready: Measure = ({ readyMs }) => readyMs;
  const middle = (kind: Kind, measure: Measure) => quantile(of(kind, measure), 0.5);
  const more = (kind: Kind, share: number) =>
    kind === "bare" ? null : (quantile(of(kind, ready), share) ?? 0) - (quantile(of("bare", ready), share) ?? 0);
  return [
    `${machine.cores} cores, ${machine.cpu}, Node ${machine.node}`,
    `${pods} pods of each kind in turns; the machine's load was ${load.least.toFixed(1)} to ${load.most.toFixed(1)}`,
    "",
    `${"milliseconds".padEnd(WIDTHS.label)}${kinds.map(kind => HEADINGS[kind].padStart(WIDTHS.cell)).join("")}`,
    row("created to Ready: median", kind => middle(kind, ready)),
    row("  90th percentile", kind => quantile(of(kind, ready), 0.9)),
    row("  least", kind => quantile(of(kind, ready), 0)),
    row("  more than without a filter: medians", kind => more(kind, 0.5)),
    row("    90th percentiles", kind => more(kind, 0.9)),
    row("    least", kind => more(kind, 0)),
    "",
    "where it goes, medians:",
    ...STEPS.map(([label, measure]) => row(`  ${label}`, kind => middle(kind, measure))),
    row("the fetcher's own run, as it says", kind => middle(kind, ({ fetcherMs }) => fetcherMs)),
    "",
  ].join("\n");
}

/** The value that a share of all does not exceed; null of none. */
function quantile(values: readonly number[], share: number): number | null {
  if (values.length === 0) return null;
  if (share === 0.5) return median(values, value => value);
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null;
}
