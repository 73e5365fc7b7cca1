import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Option } from "commander";
import { binaryOf } from "../test/environment/cluster/binaries.ts";
import { benchmark, end, integer, progress, thisMachine } from "./command.ts";
import { chooseCores } from "./cores.ts";
import { Bench, type Measurement, median } from "./measurement.ts";
import { type Result, resultTable, type ServerResult } from "./report.ts";
import { podReview } from "./reviews.ts";
import type { Server } from "./server.ts";
import { type Servers, startServers } from "./servers.ts";
import { soak } from "./soak.ts";

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUp: number;
  readonly rate: number;
  readonly workers: number;
  readonly plans: number;
  readonly replicas: number;
  readonly path: string;
  readonly program?: string;
  readonly profile?: string;
  readonly soak?: number | true;
  readonly json?: true;
}

const MILLION = 1_000_000;
await benchmark<Options>(
  "bench:admission",
  "Measures `wasmount webhook` over TLS against a bare express server that does the least: CPU time an admission, latency at a fixed rate, throughput, memory.",
  main,
)
  .addOption(number("--rounds <n>", "rounds of each measurement, whose median counts", 3, 1, 21))
  .addOption(number("--seconds <n>", "duration of each measurement", 30, 1, 600))
  .addOption(number("--warm-up <n>", "seconds of load on each server before anything is measured", 10, 1, 600))
  .addOption(number("--rate <n>", "reviews a second of the open loop, for latencies", 500, 1, 20_000))
  .addOption(number("--workers <n>", "connections of the closed loop, for CPU time and throughput", 50, 1, 1000))
  .addOption(number("--plans <n>", "different filter configurations among the pods", 50, 1, MILLION))
  .addOption(number("--replicas <n>", "pods of one controlling owner", 1, 1, MILLION))
  .addOption(new Option("--path <path>", "the admission endpoint").default("/mutate/namespace"))
  .addOption(new Option("--program <file>", "a bundle of wasmount to measure in place of this checkout's"))
  .addOption(new Option("--profile <folder>", "write a CPU profile of each server there (it slows them)"))
  .addOption(
    new Option("--soak [count]", "send this many reviews (default 1000000) and show the memory after each 100000")
      .argParser(integer(1, 100 * MILLION))
      .conflicts(["rounds", "seconds", "rate"]),
  )
  .option("--json", "print the result as JSON")
  .addHelpText(
    "after",
    `
Examples:
  npm run bench:admission
  npm run bench:admission -- --rounds 5 --json > result.json
  npm run bench:admission -- --plans 1000000            no two pods with the same plan
  npm run bench:admission -- --soak

All traffic stays on loopback. The load comes from vegeta, built from its pinned Go module on first use.
Linux only: memory is read from /proc. Exit status: 0 measured, 1 failed, 2 wrong usage.`,
  )
  .parseAsync();

async function main(options: Options): Promise<void> {
  const { plans, replicas, path } = options;
  const variety = { plans, replicas };
  const vegeta = await binaryOf("vegeta", progress);
  const cores = await chooseCores();
  const folder = await mkdtemp(join(tmpdir(), "wasmount-bench-"));
  try {
    progress("starting both servers");
    const [program, profile] = [options.program, options.profile].map(given => (given ? resolve(given) : null));
    const core = cores?.server;
    const servers = await startServers({
      folder,
      core,
      program: program ?? null,
      profile: profile ?? null,
      path,
      variety,
    });
    try {
      const bench = new Bench({ vegeta, core: cores?.load, caFile: servers.caFile, folder, variety });
      if (options.soak !== undefined) await runSoak(bench, servers, options);
      else await runRounds(bench, servers, options, cores !== null);
    } finally {
      await Promise.all([servers.wasmount.stop(), servers.baseline.stop()]);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function runRounds(
  bench: Bench,
  { wasmount, baseline }: Servers,
  options: Options,
  pinned: boolean,
): Promise<void> {
  const { rounds, seconds, warmUp, rate, workers, plans, replicas } = options;
  const measured = new Map<Server, { saturated: Measurement[]; paced: Measurement[] }>();
  for (const server of [wasmount, baseline]) {
    progress(`warming up ${server.name}, ${warmUp} s`);
    await bench.measure(server, { kind: "closed", workers, until: { seconds: warmUp } });
    measured.set(server, { saturated: [], paced: [] });
  }
  // In turns, so that what else the machine does meets both alike.
  for (let round = 1; round <= rounds; round += 1) {
    for (const [server, { saturated, paced }] of measured) {
      progress(`round ${round} of ${rounds}: ${server.name}, ${workers} workers, ${seconds} s`);
      saturated.push(await bench.measure(server, { kind: "closed", workers, until: { seconds } }));
      progress(`round ${round} of ${rounds}: ${server.name}, ${rate} reviews a second, ${seconds} s`);
      paced.push(await bench.measure(server, { kind: "open", perSecond: rate, seconds }));
    }
  }
  end();
  const [ours, theirs] = [wasmount, baseline].map(server => serverResult(server, measured.get(server)!));
  if (ours === undefined || theirs === undefined) throw new TypeError("two servers have two results");
  const result: Result = {
    machine: { ...thisMachine(), pinned },
    load: {
      rounds,
      workers,
      perSecond: rate,
      plans,
      replicas,
      reviewBytes: Buffer.byteLength(JSON.stringify(podReview(1, { plans, replicas }))),
    },
    wasmount: ours,
    baseline: theirs,
    ratio: ours.saturated.perCpuSecond / theirs.saturated.perCpuSecond,
  };
  process.stdout.write(options.json ? `${JSON.stringify(result, null, 2)}\n` : resultTable(result));
}

function serverResult(
  { name }: Server,
  { saturated, paced }: { saturated: Measurement[]; paced: Measurement[] },
): ServerResult {
  return {
    name,
    saturated: median(saturated, ({ perCpuSecond }) => perCpuSecond),
    paced: median(paced, ({ latency }) => latency.p99),
  };
}

async function runSoak(bench: Bench, { wasmount, baseline }: Servers, options: Options): Promise<void> {
  const reviews = options.soak === true || options.soak === undefined ? MILLION : options.soak;
  for (const server of [baseline, wasmount]) {
    progress(`sending ${reviews} reviews to ${server.name}`);
    await soak(bench, server, reviews, options.workers, point => {
      end();
      const { now, peak } = point;
      const mebibytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
      const text = `${server.name.padEnd(12)} ${String(point.reviews).padStart(9)} reviews  ${mebibytes(now)} resident, peak ${mebibytes(peak)}`;
      process.stdout.write(`${options.json ? JSON.stringify({ server: server.name, ...point }) : text}\n`);
      progress(`sending on to ${server.name}`);
    });
    end();
  }
}

function number(flags: string, description: string, fallback: number, least: number, most: number): Option {
  return new Option(flags, description).default(fallback).argParser(integer(least, most));
}
