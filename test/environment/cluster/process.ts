import { spawn } from "node:child_process";
import { open, readdir, readFile, readlink, rename, rm, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { attempt } from "./command.ts";
import { ClusterError } from "./error.ts";

/** A detached process of ours, as its pid file keeps it. */
export interface ProcessRecord {
  readonly pid: number;
  /** What tells this process from a later one with the same pid: boot and start time. */
  readonly identity: string;
  readonly command: string;
  readonly args: readonly string[];
}

/** What a detached process is started with. Its output goes to the end of the log file. */
export interface Start {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly logFile: string;
  readonly pidFile: string;
}

/**
 * Starts a process that survives this one, and writes its pid file.
 * @throws ClusterError CommandFailed where it can't be executed.
 */
export async function startDetached(start: Start): Promise<ProcessRecord> {
  const log = await open(start.logFile, "a", 0o600);
  try {
    const child = spawn(start.command, start.args, {
      cwd: start.cwd,
      env: start.env,
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
    });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", error => {
        reject(new ClusterError("CommandFailed", `can't start ${start.command}: ${error.message}`, { cause: error }));
      });
    });
    child.unref();
    const pid = child.pid ?? 0;
    const record = { pid, identity: (await identityOf(pid)) ?? "ended", command: start.command, args: start.args };
    await writeFile(`${start.pidFile}.new`, JSON.stringify(record), { mode: 0o600 });
    await rename(`${start.pidFile}.new`, start.pidFile);
    return record;
  } finally {
    await log.close();
  }
}

/** The record in a pid file, or null where there is none or it can't be read as one. */
export async function readRecord(pidFile: string): Promise<ProcessRecord | null> {
  try {
    return JSON.parse(await readFile(pidFile, "utf8")) as ProcessRecord;
  } catch {
    return null;
  }
}

/** Whether the recorded process, and not another one with its pid, still runs. */
export async function isRunning(record: ProcessRecord): Promise<boolean> {
  return (await identityOf(record.pid)) === record.identity;
}

/**
 * Ends a recorded process: SIGTERM, and SIGKILL when it has not ended after `grace` milliseconds. A pid that belongs
 * to another process by now is left alone. The pid file goes.
 */
export async function stopRecorded(record: ProcessRecord, pidFile: string, grace: number): Promise<void> {
  await stopProcess(record.pid, record.identity, grace);
  await rm(pidFile, { force: true });
}

/** Ends the process that has this pid and identity, as {@link stopRecorded} does. */
export async function stopProcess(pid: number, identity: string, grace: number): Promise<void> {
  for (const [signal, wait] of [
    ["SIGTERM", grace],
    ["SIGKILL", 5000],
  ] as const) {
    if ((await identityOf(pid)) !== identity) return;
    try {
      process.kill(pid, signal);
    } catch {
      return;
    }
    const deadline = performance.now() + wait;
    while (performance.now() < deadline) {
      if ((await identityOf(pid)) !== identity) return;
      await sleep(50);
    }
  }
}

/** What tells a running process from any other that had or will have its pid; null where none runs (or a zombie). */
export async function identityOf(pid: number): Promise<string | null> {
  if (process.platform !== "linux") {
    const result = await attempt("ps", ["-o", "lstart=", "-p", String(pid)]);
    return result.stdout.trim() || null;
  }
  try {
    const text = await readFile(`/proc/${pid}/stat`, "utf8");
    // The command name in parentheses may hold spaces: the fields count from behind it (proc(5)): state is the
    // 3rd field, starttime the 22nd.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return null;
    return `${await bootId()}:${fields[19]}`;
  } catch {
    return null;
  }
}

async function bootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}

/** A process found by looking, with the program it executes and its command line. */
export interface FoundProcess {
  readonly pid: number;
  readonly identity: string;
  readonly executable: string;
  readonly commandLine: string;
}

/** Every process of this machine that may be looked into. Linux only; elsewhere none. */
export async function allProcesses(): Promise<readonly FoundProcess[]> {
  if (process.platform !== "linux") return [];
  const found: FoundProcess[] = [];
  for (const name of await readdir("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    try {
      const executable = await readlink(`/proc/${pid}/exe`);
      const commandLine = (await readFile(`/proc/${pid}/cmdline`, "utf8")).replaceAll("\0", " ");
      const identity = await identityOf(pid);
      if (identity) found.push({ pid, identity, executable, commandLine });
    } catch {
      // Kernel threads have no executable, and any process may end while it is looked at.
    }
  }
  return found;
}
