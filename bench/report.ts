import type { Measurement } from "./measurement.ts";

/** What one server did in all rounds: medians of the rounds, the peak of memory over all. */
export interface ServerResult {
  readonly name: string;
  /** Closed loop. */
  readonly saturated: Measurement;
  /** Open loop. */
  readonly paced: Measurement;
}

export interface Result {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string; readonly pinned: boolean };
  readonly load: {
    readonly rounds: number;
    readonly workers: number;
    readonly perSecond: number;
    readonly plans: number;
    readonly replicas: number;
    readonly reviewBytes: number;
  };
  readonly wasmount: ServerResult;
  readonly baseline: ServerResult;
  readonly ratio: number;
}

const MEBIBYTE = 1024 * 1024;

/** The result for people. */
export function resultTable({ machine, load, wasmount, baseline, ratio }: Result): string {
  const both = (label: string, unit: string, cell: (server: ServerResult) => number, digits = 0) =>
    [label, cell(wasmount).toFixed(digits), cell(baseline).toFixed(digits), unit] as const;
  const rows = [
    ["", wasmount.name, baseline.name, ""],
    both("admissions per CPU-second", "1/s", ({ saturated }) => saturated.perCpuSecond),
    ["  of the baseline", `${(ratio * 100).toFixed(1)}`, "100.0", "%"],
    both(`saturated, ${load.workers} workers`, "1/s", ({ saturated }) => saturated.perSecond),
    both(`latency at ${load.perSecond}/s: p50`, "ms", ({ paced }) => paced.latency.p50, 2),
    both("  p90", "ms", ({ paced }) => paced.latency.p90, 2),
    both("  p99", "ms", ({ paced }) => paced.latency.p99, 2),
    both("  max", "ms", ({ paced }) => paced.latency.max, 2),
    both("resident memory after the load", "MiB", ({ saturated }) => saturated.memory.now / MEBIBYTE),
    both("  peak", "MiB", ({ saturated }) => saturated.memory.peak / MEBIBYTE),
  ] as const;
  const widths = [0, 1, 2].map(column => Math.max(...rows.map(row => row[column]?.length ?? 0)));
  const lines = rows.map(([label, ...cells]) => {
    const numbers = cells.slice(0, 2).map((cell, index) => cell.padStart((widths[index + 1] ?? 0) + 2));
    return `${label.padEnd(widths[0] ?? 0)}${numbers.join("")} ${cells[2]}`.trimEnd();
  });
  const pinned = machine.pinned ? "server and load on a core each" : "cores not pinned";
  const shape = `${load.reviewBytes} bytes a review, ${load.plans} plans, ${load.replicas} pods an owner`;
  return [
    `${machine.cores} cores, ${machine.cpu}, Node ${machine.node}, ${pinned}`,
    `median of ${load.rounds} rounds, ${shape}`,
    "",
    ...lines,
    "",
  ].join("\n");
}
