import { readdir, readFile } from "node:fs/promises";
import { builtFolder } from "./build.ts";
import { allProcesses, type FoundProcess, identityOf, readRecord, stopProcess } from "./process.ts";
import { containerdRoot, stateFolder } from "./settings.ts";

/**
 * Ends processes of an earlier run that no pid file knows (their starter was killed before it could write one): those
 * that execute a binary we built and name our state folder. Shims are not strays: containerd takes them up again.
 */
export async function endStrays(): Promise<void> {
  const known = new Set<number>();
  for (const name of (await readdir(stateFolder())).filter(file => file.endsWith(".pid"))) {
    const record = await readRecord(stateFolder(name));
    if (record) known.add(record.pid);
  }
  for (const found of await ours()) {
    if (known.has(found.pid) || isShim(found)) continue;
    await stopProcess(found.pid, found.identity, 5000);
  }
}

/** Ends whatever is left of the cluster: all processes of ours, shims too, and those inside containers of ours. */
export async function endLeftovers(): Promise<void> {
  for (const found of await ours()) await stopProcess(found.pid, found.identity, 5000);
  for (const pid of await containedProcesses()) {
    const identity = await identityOf(pid);
    if (identity) await stopProcess(pid, identity, 0);
  }
}

async function ours(): Promise<readonly FoundProcess[]> {
  const built = `${builtFolder()}/`;
  const state = `${stateFolder()}/`;
  return (await allProcesses()).filter(
    ({ executable, commandLine }) => executable.startsWith(built) && commandLine.includes(state),
  );
}

function isShim({ executable }: FoundProcess): boolean {
  return executable.includes("/containerd-shim");
}

/** Processes whose root file system is a snapshot of our containerd. */
async function containedProcesses(): Promise<readonly number[]> {
  const found: number[] = [];
  for (const { pid } of await allProcesses()) {
    try {
      const mounts = (await readFile(`/proc/${pid}/mountinfo`, "utf8")).split("\n");
      // The 5th field is the mount point (proc_pid_mountinfo(5)).
      const root = mounts.find(line => line.split(" ")[4] === "/");
      if (root?.includes(`${containerdRoot()}/`)) found.push(pid);
    } catch {
      // Ended meanwhile.
    }
  }
  return found;
}
