import { readdir, readFile, readlink } from "node:fs/promises";
import { createServer } from "node:net";
import { ClusterError } from "./error.ts";

/** Below the range from which the kernel gives outgoing connections their ports, so that nothing takes ours between runs. */
const lowest = 16_440;
const highest = 20_000;

/** The lowest free ports of our range, as many as asked for. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const found: number[] = [];
  for (let port = lowest; port < highest && found.length < count; port++) {
    if (await isFree(port)) found.push(port);
  }
  if (found.length === count) return found;
  throw new ClusterError("PortTaken", `no ${count} free TCP ports between ${lowest} and ${highest}`);
}

/** @throws ClusterError PortTaken, naming the port and, where it can be told, the process that has it. */
export async function checkFree(port: number, use: string): Promise<void> {
  if (await isFree(port)) return;
  const holder = await holderOf(port);
  throw new ClusterError(
    "PortTaken",
    `${use} needs TCP port ${port}, which ${holder ?? "another process"} has: end it, or run "npm run cluster -- down" and "up" to choose other ports`,
  );
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "0.0.0.0", exclusive: true }, () => server.close(() => resolve(true)));
  });
}

async function holderOf(port: number): Promise<string | null> {
  const inode = await listeningInode(port);
  if (inode === null) return null;
  for (const pid of (await readdir("/proc")).filter(name => /^\d+$/.test(name))) {
    try {
      for (const descriptor of await readdir(`/proc/${pid}/fd`)) {
        if ((await readlink(`/proc/${pid}/fd/${descriptor}`)) !== `socket:[${inode}]`) continue;
        return `process ${pid} (${(await readFile(`/proc/${pid}/comm`, "utf8")).trim()})`;
      }
    } catch {
      // Not ours to look into, or ended meanwhile.
    }
  }
  return null;
}

/** The socket that listens on a port, from the kernel's tables (proc_net_tcp: local address, state 0A, inode). */
async function listeningInode(port: number): Promise<string | null> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    const text = await readFile(table, "utf8").catch(() => "");
    for (const line of text.split("\n").slice(1)) {
      const fields = line.trim().split(/\s+/);
      if (fields[1]?.endsWith(wanted) && fields[3] === "0A") return fields[9] ?? null;
    }
  }
  return null;
}
