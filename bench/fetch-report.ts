import { median } from "./measurement.ts";
import type { ProcessCost } from "./process-cost.ts";

/** What one program cost for one size. */
export interface ProgramResult {
  readonly name: string;
  /** The middle one of each number, on its own. */
  readonly median: ProcessCost;
  /** The least disturbed run. */
  readonly least: ProcessCost;
  readonly runs: readonly ProcessCost[];
}

export interface FetchResult {
  readonly mebibytes: number;
  /** The first one is ours, the second and third are what it is compared with; others are ours, too. */
  readonly programs: readonly ProgramResult[];
}

export interface FetchReport {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string };
  readonly tls: boolean;
  readonly pinned: boolean;
  readonly rounds: number;
  readonly load: { readonly least: number; readonly most: number };
  readonly results: readonly FetchResult[];
}

const MEASURES = ["wallMs", "cpuMs", "peakBytes"] as const;
const MEGABYTE = 1e6;

export function summary(name: string, runs: readonly ProcessCost[]): ProgramResult {
  const pick = (by: (measure: keyof ProcessCost) => number) =>
    Object.fromEntries(MEASURES.map(measure => [measure, by(measure)])) as unknown as ProcessCost;
  return {
    name,
    median: pick(measure => median(runs, run => run[measure])[measure]),
    least: pick(measure => Math.min(...runs.map(run => run[measure]))),
    runs,
  };
}

const COMPARED = [1, 2] as const;
const HEADINGS = [
  "MiB",
  "program",
  "wall ms",
  "of oras",
  "of node",
  "CPU ms",
  "of oras",
  "of node",
  "least: wall",
  "CPU",
  "peak MB",
];
/** Of the columns, those that are text. */
const LEFT = 1;

/** The result for people. */
export function fetchTable({ machine, tls, pinned, rounds, load, results }: FetchReport): string {
  const rows = [HEADINGS, ...results.flatMap(rowsOf)];
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)));
  const lines = rows.map(row =>
    row
      .map((cell, column) => (column === LEFT ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  "),
  );
  return [
    `${machine.cores} cores, ${machine.cpu}, Node ${machine.node}, ${pinned ? "one core for what is measured" : "cores not pinned"}`,
    `${tls ? "TLS" : "no TLS"}; medians of ${rounds} runs in turns; the machine's load was ${load.least.toFixed(1)} to ${load.most.toFixed(1)}`,
    "",
    ...lines,
    "",
  ].join("\n");
}

function rowsOf({ mebibytes, programs }: FetchResult): string[][] {
  return programs.map(({ name, median, least, runs }, index) => {
    const ratios = (measure: "wallMs" | "cpuMs") =>
      COMPARED.map(other => {
        const compared = programs[other];
        if (compared === undefined || COMPARED.some(one => one === index)) return "";
        return `${(median[measure] / compared.median[measure]).toFixed(2)}×`;
      });
    return [
      index === 0 ? String(mebibytes) : "",
      name,
      median.wallMs.toFixed(0),
      ...ratios("wallMs"),
      median.cpuMs.toFixed(0),
      ...ratios("cpuMs"),
      least.wallMs.toFixed(0),
      least.cpuMs.toFixed(0),
      (Math.max(...runs.map(({ peakBytes }) => peakBytes)) / MEGABYTE).toFixed(0),
    ];
  });
}
