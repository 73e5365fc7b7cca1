import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { loadavg } from "node:os";
import { createInterface, type Interface } from "node:readline";

/** What one process cost, from before its exec to its end. */
export interface ProcessCost {
  readonly wallMs: number;
  /** Of all its threads, user and system. */
  readonly cpuMs: number;
  /** Most memory that was resident at one time, in bytes. */
  readonly peakBytes: number;
}

export interface ProcessCommand {
  readonly argv: readonly [string, ...string[]];
  /** All of its environment. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Node tells nothing of what a child cost, and shells only to the millisecond and without memory. This reads a command a
 * line, runs it on the chosen core and answers with what the kernel counted (wait4).
 */
const RUNNER = `
import json, os, sys, time
core = json.loads(sys.argv[1])
if core is not None: os.sched_setaffinity(0, {core})
for line in sys.stdin:
    command = json.loads(line)
    log = os.open(command["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    actions = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
    started = time.perf_counter()
    child = os.posix_spawn(command["argv"][0], command["argv"], command["env"], file_actions=actions)
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - started
    os.close(log)
    print(json.dumps({"code": os.waitstatus_to_exitcode(status), "wallMs": wall * 1000,
        "cpuMs": (usage.ru_utime + usage.ru_stime) * 1000, "peakBytes": usage.ru_maxrss * 1024}), flush=True)
`;

/** Runs processes one after the other on one core. */
export class ProcessMeter {
  readonly #runner: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  readonly #lines: Interface;
  /** The machine's load (1 minute) before each run. */
  readonly #loads: number[] = [];

  /** @param core null for any */
  constructor(core: number | null) {
    this.#runner = spawn("python3", ["-c", RUNNER, JSON.stringify(core)], { stdio: ["pipe", "pipe", "inherit"] });
    const { stdout } = this.#runner;
    if (stdout === null) throw new TypeError("the runner's output is a pipe");
    this.#lines = createInterface({ input: stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]();
  }

  /** The least and the most that the machine had to do besides, as Linux's load says it. */
  get loads(): { readonly least: number; readonly most: number } {
    return { least: Math.min(...this.#loads), most: Math.max(...this.#loads) };
  }

  /** @param log the file for all that it writes @throws Error where it fails */
  async run({ argv, env }: ProcessCommand, log: string): Promise<ProcessCost> {
    this.#loads.push(loadavg()[0] ?? 0);
    this.#runner.stdin?.write(`${JSON.stringify({ argv, env, log })}\n`);
    const { done, value } = await this.#answers.next();
    if (done) throw new Error("python3, which measures processes, ended");
    const { code, ...cost } = JSON.parse(value) as ProcessCost & { readonly code: number };
    if (code !== 0) throw new Error(`${argv.join(" ")} ended with ${code}; see ${log}`);
    return cost;
  }

  async close(): Promise<void> {
    this.#runner.stdin?.end();
    if (this.#runner.exitCode === null) await once(this.#runner, "exit");
  }
}
