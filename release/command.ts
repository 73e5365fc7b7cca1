import { spawn } from "node:child_process";
import { ReleaseError } from "./error.ts";

const KEPT = 4_000;

export interface CommandSetting {
  readonly cwd?: string;
  /** Beside this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Where what it writes goes, too: to this process's own standard error, or nowhere but into the error of its failure. */
  readonly loud?: boolean;
}

/**
 * Runs a program to its end.
 * @returns its standard output
 * @throws {ReleaseError} CommandFailed, with the end of what it wrote
 */
export async function run(program: string, args: readonly string[], setting: CommandSetting = {}): Promise<string> {
  const { cwd, env = {}, loud = false } = setting;
  const child = spawn(program, args, {
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let messages = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    if (loud) process.stderr.write(text);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    messages = (messages + text).slice(-KEPT);
    if (loud) process.stderr.write(text);
  });
  const outcome = await new Promise<number | string>(resolve => {
    child.on("error", error => resolve(error.message));
    child.on("close", (code, signal) => resolve(code ?? String(signal)));
  });
  if (outcome === 0) return output;
  const said = `${output.slice(-KEPT)}\n${messages}`.trim();
  throw new ReleaseError("CommandFailed", `${program} ${args[0] ?? ""} failed (${outcome}):\n${said}`);
}
