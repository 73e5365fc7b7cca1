import { spawn } from "node:child_process";

const KEPT = 4_000;

/**
 * Runs a program to its end and returns its output.
 * @throws Error with the end of the output where it exits with another code than 0.
 */
export async function spawnChecked(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const child = spawn(program, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const outcome = await new Promise<number | string>(resolve => {
    child.on("error", error => resolve(error.message));
    child.on("close", (code, signal) => resolve(code ?? String(signal)));
  });
  if (outcome !== 0) throw new Error(`${program} ${args.join(" ")} failed (${outcome})\n${output.slice(-KEPT)}`);
  return output;
}
