import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { MAIN } from "./webhook-process.ts";

export interface CommandOutcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
}

/** Starts `wasmount` from source. */
export function startCommand(
  args: readonly string[],
  { cwd, env = process.env }: CommandOptions,
): ChildProcessByStdio<Writable, Readable, Readable> {
  return spawn(process.execPath, [MAIN, ...args], { cwd, env, stdio: ["pipe", "pipe", "pipe"] });
}

/** Runs `wasmount` from source to its end. */
export async function runCommand(args: readonly string[], options: CommandOptions): Promise<CommandOutcome> {
  const child = startCommand(args, options);
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", text => {
      output[name] += text;
    });
  }
  // Who finds its arguments wrong does not read.
  child.stdin.on("error", () => {});
  child.stdin.end(options.input ?? "");
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...output };
}
