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

/** One number of a start, in milliseconds; null where the kind has none. */
type Measure = (start: Start) => number | null;
type Statistic = (values: readonly number[]) => number;

const HEADINGS: Readonly<Record<Kind, string>> = {
  bare: "no filter",
  padded: "idle init",
  filtered: "filter",
};

const TOTALS: readonly (readonly [string, Measure])[] = [
  ["created to Ready", ({ readyMs }) => readyMs],
  ["created to istio-proxy's first line", ({ proxyMs }) => proxyMs],
];

const middle: Statistic = values => median(values, value => value);

const STATISTICS: readonly (readonly [string, Statistic])[] = [
  ["median", middle],
  ["mean", values => values.reduce((sum, value) => sum + value, 0) / values.length],
  ["90th percentile", values => values.toSorted((a, b) => a - b)[Math.ceil(0.9 * values.length) - 1] ?? Number.NaN],
  ["least", values => Math.min(...values)],
];

/** Where a pod's time goes, one after the other: what a pod has of them is its whole time. */
const STEPS: readonly (readonly [string, Measure])[] = [
  ["the creating call, with admission", start => start.createdMs],
  ["to the first line of the first container", start => (start.first ?? start.istioInit).fromMs - start.createdMs],
  ["from its first line to its last", ({ first }) => first && first.toMs - first.fromMs],
  ["to istio-init's first line", ({ first, istioInit }) => first && istioInit.fromMs - first.toMs],
  ["from istio-init's first line to its last", ({ istioInit }) => istioInit.toMs - istioInit.fromMs],
  ["to istio-proxy's first line", ({ istioInit, proxyMs }) => proxyMs - istioInit.toMs],
  ["to Ready", ({ proxyMs, readyMs }) => readyMs - proxyMs],
];

const WIDTHS = { label: 44, cell: 16 } as const;

/** The result for people. In brackets, how much more it is than without a filter. */
export function startupTable({ machine, load, pods, starts }: StartupReport): string {
  const calculated = (kind: Kind, measure: Measure, statistic: Statistic) => {
    const values = (starts[kind] ?? []).map(measure).filter(value => value !== null);
    return values.length === 0 ? null : statistic(values);
  };
  const row = (label: string, cell: (kind: Kind) => string) =>
    `${label.padEnd(WIDTHS.label)}${kinds.map(kind => cell(kind).padStart(WIDTHS.cell)).join("")}`.trimEnd();
  const compared = (label: string, measure: Measure, statistic: Statistic) => {
    const bare = calculated("bare", measure, statistic) ?? 0;
    return row(label, kind => {
      const value = calculated(kind, measure, statistic) ?? 0;
      return kind === "bare" ? value.toFixed(0) : `${value.toFixed(0)} (${signed(value - bare)})`;
    });
  };
  const plain = (label: string, measure: Measure) =>
    row(label, kind => calculated(kind, measure, middle)?.toFixed(0) ?? "");
  return [
    `${machine.cores} cores, ${machine.cpu}, Node ${machine.node}`,
    `${pods} pods of each kind in turns; the machine's load was ${load.least.toFixed(1)} to ${load.most.toFixed(1)}`,
    "",
    row("milliseconds", kind => HEADINGS[kind]),
    ...TOTALS.flatMap(([label, measure]) =>
      STATISTICS.map(([name, statistic], index) =>
        compared(`${index === 0 ? `${label}: ` : "  "}${name}`, measure, statistic),
      ),
    ),
    "",
    "where it goes, medians:",
    ...STEPS.map(([label, measure]) => plain(`  ${label}`, measure)),
    plain("the fetcher's own run, as it says", ({ fetcherMs }) => fetcherMs),
    "",
  ].join("\n");
}

function signed(value: number): string {
  return `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(0)}`;
}
