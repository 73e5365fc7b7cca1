import { spawn } from "node:child_process";
import { ClusterError } from "./error.ts";

/** What an ended command left: its exit code, or the signal or spawn error that ended it. */
export interface CommandResult {
  readonly status: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where and with what environment a command runs; this process's own by default. */
export interface CommandSetting {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

const outputLimit = 4 * 1024 * 1024;

/** Runs a command to its end, whatever its end: never throws. Of output beyond 4 MiB only the last part is kept. */
export async function attempt(
  command: string,
  args: readonly string[],
  setting: CommandSetting = {},
): Promise<CommandResult> {
  const child = spawn(command, args, { ...setting, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout = (stdout + chunk).slice(-outputLimit);
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr = (stderr + chunk).slice(-outputLimit);
  });
  const status = await new Promise<number | string>(resolve => {
    child.on("error", error => resolve(error.message));
    child.on("close", (code, signal) => resolve(code ?? signal ?? "unknown"));
  });
  return { status, stdout, stderr };
}

/**
 * Runs a command that has to succeed.
 * @returns its standard output.
 * @throws ClusterError CommandFailed with the end of what it printed.
 */
export async function run(command: string, args: readonly string[], setting: CommandSetting = {}): Promise<string> {
  const result = await attempt(command, args, setting);
  if (result.status === 0) return result.stdout;
  const output = `${result.stdout}\n${result.stderr}`.trim().slice(-2000);
  throw new ClusterError("CommandFailed", `${command} ${args.join(" ")} failed (${result.status}):\n${output}`);
}
