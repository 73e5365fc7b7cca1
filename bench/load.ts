import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { run } from "../test/environment/cluster/command.ts";
import { onCore } from "./cores.ts";
import { podReview, type Variety } from "./reviews.ts";

/** vegeta, and what its runs have in common. */
export interface Generator {
  readonly vegeta: string;
  readonly core: number | undefined;
  /** PEM file of the authority that signed the servers' certificates. */
  readonly caFile: string;
  readonly folder: string;
  readonly variety: Variety;
}

/** How much load: an open loop at a rate, or a closed loop of workers that each wait for their answer. */
export type Load =
  | { readonly kind: "open"; readonly perSecond: number; readonly seconds: number }
  | { readonly kind: "closed"; readonly workers: number; readonly until: Seconds | Count };

interface Seconds {
  readonly seconds: number;
}
interface Count {
  readonly count: number;
}

/** What vegeta saw. Times in milliseconds. */
export interface LoadReport {
  readonly requests: number;
  readonly perSecond: number;
  readonly latency: { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number };
}

/** The members of vegeta's JSON report that are read; times in nanoseconds. */
interface VegetaReport {
  readonly throughput: number;
  /** Answers by HTTP status; 0 where there was none. */
  readonly status_codes: Readonly<Record<string, number>>;
  readonly errors: readonly string[];
  readonly latencies: Readonly<Record<"50th" | "90th" | "99th" | "max", number>>;
}

/** How a worker of vegeta ends that finds no target left: it counts as a request without an answer. */
const AT_THE_END = "no targets to attack";

/**
 * Sends reviews of distinct pods, counted from `first`.
 * @throws Error where one of them was not answered with 200.
 */
export async function sendLoad(
  { vegeta, core, caFile, folder, variety }: Generator,
  url: string,
  first: number,
  load: Load,
): Promise<LoadReport> {
  const results = join(folder, "results.bin");
  const args = ["attack", "-format=json", "-lazy", "-http2=false", `-root-certs=${caFile}`, `-output=${results}`];
  // Answers are checked by the server's own count of decisions; kept here, they would cost the generator memory.
  args.push("-max-body=0", "-timeout=10s", ...pace(load));
  const child = spawn(...onCore(core, vegeta, args), { stdio: ["pipe", "ignore", "inherit"] });
  const exited = once(child, "exit") as Promise<[number | null]>;
  await feed(child, targets(url, first, load, variety));
  const [code] = await exited;
  if (code !== 0) throw new Error(`vegeta attack exited with ${code}`);
  const report = JSON.parse(await run(vegeta, ["report", "-type=json", results])) as VegetaReport;
  await rm(results);
  const failure = report.errors.find(error => error !== AT_THE_END);
  if (failure !== undefined) throw new Error(`reviews failed: ${failure}`);
  const { latencies } = report;
  const milliseconds = (key: keyof typeof latencies) => latencies[key] / 1e6;
  return {
    requests: report.status_codes["200"] ?? 0,
    perSecond: report.throughput,
    latency: {
      p50: milliseconds("50th"),
      p90: milliseconds("90th"),
      p99: milliseconds("99th"),
      max: milliseconds("max"),
    },
  };
}

function pace(load: Load): string[] {
  if (load.kind === "open") return [`-rate=${load.perSecond}/1s`, `-duration=${load.seconds}s`];
  return ["-rate=0", `-workers=${load.workers}`, `-max-workers=${load.workers}`];
}

/** vegeta stops reading at the end of its own duration: a closed pipe is no mistake. */
async function feed({ stdin }: ChildProcess, lines: Iterable<string>): Promise<void> {
  if (stdin === null) return;
  try {
    await pipeline(Readable.from(lines, { objectMode: true, highWaterMark: 16 }), stdin);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== "EPIPE" && code !== "ERR_STREAM_PREMATURE_CLOSE") throw error;
  }
}

/** vegeta's targets in its JSON form, one a line, with the body in base64. */
function* targets(url: string, first: number, load: Load, variety: Variety): Iterable<string> {
  const count = load.kind === "closed" && "count" in load.until ? load.until.count : Number.POSITIVE_INFINITY;
  const seconds = load.kind === "closed" && "seconds" in load.until ? load.until.seconds : Number.POSITIVE_INFINITY;
  const deadline = performance.now() + seconds * 1000;
  const header = { "Content-Type": ["application/json"] };
  for (let index = first; index < first + count && performance.now() < deadline; index += 1) {
    const body = Buffer.from(JSON.stringify(podReview(index, variety))).toString("base64");
    yield `${JSON.stringify({ method: "POST", url, header, body })}\n`;
  }
}
