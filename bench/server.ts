import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { onCore } from "./cores.ts";

/** A running server that is measured. */
export interface Server {
  readonly name: string;
  /** URL of the endpoint that takes reviews. */
  readonly url: string;
  /** What the process itself says about its use, in Prometheus' text format. */
  readonly metrics: () => Promise<string>;
  readonly memory: () => Promise<Memory>;
  readonly stop: () => Promise<void>;
}

/** Resident memory in bytes. */
export interface Memory {
  readonly now: number;
  readonly peak: number;
}

export interface ServerOptions {
  readonly name: string;
  /** Arguments of node. */
  readonly args: readonly string[];
  readonly path: string;
  /** Takes what the server writes to stderr: its log. */
  readonly logFile: string;
  readonly core: number | undefined;
}

/** Starts a server that prints `{"port":…,"plainPort":…}` once it serves. */
export async function startServer({ name, args, path, logFile, core }: ServerOptions): Promise<Server> {
  const log = openSync(logFile, "w");
  const [program, words] = onCore(core, process.execPath, args);
  const child = spawn(program, words, { stdio: ["ignore", "pipe", log] });
  closeSync(log);
  const exited = once(child, "exit") as Promise<[number | null]>;
  const lines = createInterface(child.stdout!);
  const first = await Promise.race([once(lines, "line") as Promise<[string]>, exited.then(() => null)]);
  if (first === null) throw new Error(`${name} did not start:\n${(await readFile(logFile, "utf8")).slice(-2000)}`);
  const { port, plainPort } = JSON.parse(first[0]) as { port: number; plainPort: number };
  return {
    name,
    url: `https://127.0.0.1:${port}${path}`,
    async metrics() {
      const answer = await fetch(`http://127.0.0.1:${plainPort}/metrics`);
      return answer.text();
    },
    // taskset replaces itself by node: the child is the server in either case.
    memory: () => readMemory(child.pid ?? 0),
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
      await exited;
    },
  };
}

/** The sum of a counter over the samples whose labels contain the text. */
export function counter(metrics: string, name: string, labels = ""): number {
  let sum = 0;
  for (const line of metrics.split("\n")) {
    const match = /^([a-z_]+)(\{.*\})? (\S+)/.exec(line);
    if (match?.[1] === name && (match[2] ?? "").includes(labels)) sum += Number(match[3]);
  }
  return sum;
}

/** Linux counts it for each process: VmRSS and VmHWM of proc_pid_status(5). */
async function readMemory(pid: number): Promise<Memory> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const kilobytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]);
  return { now: kilobytes("VmRSS") * 1024, peak: kilobytes("VmHWM") * 1024 };
}
