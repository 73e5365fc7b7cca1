import { availableParallelism } from "node:os";
import { attempt } from "../test/environment/cluster/command.ts";
import { findExecutable } from "../test/environment/cluster/executable.ts";

/** Which cores the parts of a benchmark run on; null where they can't be told apart. */
export interface Cores {
  readonly server: number;
  readonly load: number;
}

/** The server's core and the load generator's: two different ones, where the machine has two and `taskset`. */
export async function chooseCores(): Promise<Cores | null> {
  if (availableParallelism() < 2 || (await findExecutable("taskset")) === null) return null;
  const cores: Cores = { server: 0, load: 1 };
  // This process makes the load's targets. What it starts inherits its core, unless it is started on another.
  const { status } = await attempt("taskset", ["-acp", String(cores.load), String(process.pid)]);
  return status === 0 ? cores : null;
}

/** A command line that runs on one core. */
export function onCore(core: number | undefined, program: string, args: readonly string[]): [string, string[]] {
  return core === undefined ? [program, [...args]] : ["taskset", ["-c", String(core), program, ...args]];
}
