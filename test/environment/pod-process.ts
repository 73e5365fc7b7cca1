import { readdir, readFile } from "node:fs/promises";

/**
 * The process on this machine's node that a container of a pod began with.
 * @param uid the pod's
 * @param argument what its command line holds, and no other's of the pod
 * @throws Error where there is none
 */
export async function podProcess(uid: string, argument: string): Promise<number> {
  // The kubelet's cgroups have the pod's UID in their path, by systemd's driver with "_" for "-".
  const group = new RegExp(`pod${uid.replaceAll("-", "[-_]")}`);
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const [cgroup = "", command = ""] = await Promise.all(
      ["cgroup", "cmdline"].map(file => readFile(`/proc/${name}/${file}`, "utf8").catch(() => "")),
    );
    if (group.test(cgroup) && command.split("\0").includes(argument)) return Number(name);
  }
  throw new Error(`no process of pod ${uid} has ${argument}`);
}
