import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { bundleImage } from "../../bundle.ts";
import type { RunSummary } from "../../src/fetcher/summary.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { planToEnvironment } from "../../src/plan/transport.ts";
import { MAIN } from "./webhook-process.ts";

/** One run of the fetcher that has ended. */
export interface FetcherRun {
  /** 128 and the signal's number where a signal ended it, as a shell says it. */
  readonly exitCode: number;
  /** The line of JSON that it ends with; null where a signal ended it. */
  readonly summary: FetcherSummary | null;
  /** All that it wrote, to stdout and stderr. */
  readonly log: string;
  readonly lastLine: string;
  /** The most memory that was resident at one time (VmHWM), in KiB; null where it could not say so any more. */
  readonly peakKiB: number | null;
}

export interface FetcherSummary extends Omit<RunSummary, "milliseconds"> {
  readonly bytes: number;
  readonly seconds: number;
}

export interface FetcherProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<FetcherRun>;
}

export interface FetcherOptions {
  /** What Node runs: the sources' entry, unless a bundle is named. */
  readonly entry?: string;
  /** JavaScript that Node runs before, such as another resolver of names. */
  readonly before?: string;
  /** Node's own options. */
  readonly node?: readonly string[];
  readonly uid?: number;
}

/** Read at the end from /proc: `maxRSS` of getrusage outlives an exec, and would show the test's own memory. */
const TELL_PEAK = `
import { readFileSync, writeSync } from "node:fs";
process.on("exit", () => writeSync(3, /VmHWM:\\s*(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? ""));`;

/** Bundles wasmount as images run it, which starts sooner and takes less memory than sources. @returns its entry's path */
export function bundledEntry(folder: string): Promise<string> {
  return bundleImage(join(folder, "program"));
}

/** Starts `wasmount fetch` with a plan, as a process and with nothing of ours in its environment. */
export function startFetcher(
  plan: Plan,
  { entry = MAIN, before = "", node = [], uid }: FetcherOptions = {},
): FetcherProcess {
  const environment = planToEnvironment(plan).variables.map(({ name, value }) => [name, value]);
  const prelude = `data:text/javascript,${encodeURIComponent(TELL_PEAK + before)}`;
  const child = spawn(process.execPath, [...node, "--import", prelude, entry, "fetch"], {
    env: { PATH: process.env["PATH"] ?? "", ...Object.fromEntries(environment) },
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    ...(uid !== undefined && { uid, gid: uid }),
  });
  let log = "";
  let peak = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      log += text;
    });
  }
  (child.stdio[3] as Readable).setEncoding("utf8").on("data", (text: string) => {
    peak += text;
  });
  const ended = new Promise<FetcherRun>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) =>
      resolve({
        exitCode: code ?? (signal === "SIGKILL" ? 137 : 128),
        log,
        summary: summaryIn(log),
        lastLine: log.trimEnd().split("\n").at(-1) ?? "",
        peakKiB: peak === "" ? null : Number(peak),
      }),
    );
  });
  return { child, ended };
}

function summaryIn(log: string): FetcherSummary | null {
  const line = log.split("\n").findLast(one => one.startsWith('{"summary":"wasmount-fetch"'));
  return line === undefined ? null : JSON.parse(line);
}

/** Runs the fetcher to its end. */
export function runFetcherProcess(plan: Plan, options: FetcherOptions = {}): Promise<FetcherRun> {
  return startFetcher(plan, options).ended;
}
