import { dirname, join } from "node:path";
import { readArchive } from "../images/archive.ts";
import { attempt, run } from "./command.ts";
import { containerdSocket } from "./component.ts";
import type { Progress } from "./progress.ts";

/** The namespace in which the kubelet's images and containers are kept. */
const namespace = "k8s.io";

/** containerd's own client, at the cluster's socket. `containerd` is the path of the daemon's binary. */
function ctr(containerd: string, ...args: string[]): readonly [string, readonly string[]] {
  const base = ["--address", containerdSocket(), "--namespace", namespace, "--connect-timeout", "5s"];
  return [join(dirname(containerd), "ctr"), [...base, ...args]];
}

/**
 * Imports an OCI archive, unless containerd has the image by that name and digest.
 * @returns the image's reference.
 */
export async function importArchive(containerd: string, path: string, progress: Progress): Promise<string> {
  const { reference, digest } = await readArchive(path);
  const [, row = ""] = (await run(...ctr(containerd, "images", "list", `name==${reference}`))).split("\n");
  if (row.split(/\s+/).includes(digest)) return reference;
  progress(`importing the image ${reference}`);
  await run(...ctr(containerd, "images", "import", path));
  return reference;
}

/** Kills and removes all containers and pod sandboxes; what can't be removed so, the sweep of processes ends. */
export async function removeContainers(containerd: string): Promise<void> {
  for (const id of await list(containerd, "tasks")) {
    await attempt(...ctr(containerd, "tasks", "kill", "--signal", "KILL", id));
    await attempt(...ctr(containerd, "tasks", "delete", "--force", id));
  }
  for (const id of await list(containerd, "containers")) await attempt(...ctr(containerd, "containers", "delete", id));
  for (const id of await list(containerd, "sandboxes")) {
    await attempt(...ctr(containerd, "sandboxes", "remove", "--force", id));
  }
}

async function list(containerd: string, kind: "tasks" | "containers" | "sandboxes"): Promise<readonly string[]> {
  const quiet = kind === "sandboxes" ? [] : ["--quiet"];
  const result = await attempt(...ctr(containerd, kind, "list", ...quiet));
  const lines = result.status === 0 ? result.stdout.split("\n").filter(line => line.trim() !== "") : [];
  const rows = kind === "sandboxes" ? lines.slice(1) : lines;
  return rows.map(line => line.trim().split(/\s+/)[0] ?? "");
}
