import { existsSync } from "node:fs";
import { readdir, readFile, readlink, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { attempt } from "./command.ts";
import { removeContainers } from "./containerd.ts";
import { ClusterError } from "./error.ts";
import { locked } from "./lock.ts";
import { removeNetwork } from "./network.ts";
import { isRunning, readRecord, stopRecorded } from "./process.ts";
import type { Progress } from "./progress.ts";
import { removeProxyRules } from "./proxy-rules.ts";
import { containerdRoot, stateFolder } from "./settings.ts";
import { endLeftovers } from "./strays.ts";
import { lockFile, pidFile } from "./up.ts";

/** Each before those it speaks to, and containerd last of all. */
const order = [
  "kubelet",
  "kube-proxy",
  "kube-scheduler",
  "kube-controller-manager",
  "kube-apiserver",
  "etcd-events",
  "etcd",
];

/** How long a component may take to end by itself, in milliseconds. */
const grace = 4000;

/**
 * Ends everything that `up` started, containers included, and removes what it left on the machine. Built binaries and
 * imported images stay.
 * @returns whether there was anything.
 */
export function dropCluster(progress: Progress): Promise<boolean> {
  return locked(lockFile(), 60_000, async () => {
    if (!existsSync(stateFolder())) return false;
    progress("ending the cluster");
    await endComponents();
    await endLeftovers();
    await unmountBelow(stateFolder());
    await unmountBelow(containerdRoot());
    await removeNetwork();
    await removeTraces();
    await rm(stateFolder(), { recursive: true, force: true });
    return true;
  });
}

async function endComponents(): Promise<void> {
  for (const name of order) {
    const record = await readRecord(pidFile(name));
    if (!record) continue;
    await stopRecorded(record, pidFile(name), grace);
    if (name === "kube-proxy") await removeProxyRules(record.command);
  }
  const containerd = await readRecord(pidFile("containerd"));
  if (!containerd) return;
  if (await isRunning(containerd)) await removeContainers(containerd.command);
  await stopRecorded(containerd, pidFile("containerd"), grace);
}

/** Unmounts everything below a folder, the deepest first. */
async function unmountBelow(folder: string): Promise<void> {
  if (process.platform !== "linux") return;
  const points = (await mountPoints()).filter(point => point.startsWith(`${folder}/`));
  for (const point of points.toSorted((left, right) => right.length - left.length)) {
    const first = await attempt("umount", [point]);
    if (first.status !== 0) await attempt("umount", ["--lazy", point]);
  }
  const [left] = (await mountPoints()).filter(point => point.startsWith(`${folder}/`));
  // Removing the folder would then remove what is mounted there, perhaps a folder of the host.
  if (left) throw new ClusterError("CommandFailed", `can't unmount ${left}: unmount it by hand, and run this again`);
}

async function mountPoints(): Promise<readonly string[]> {
  const lines = (await readFile("/proc/self/mountinfo", "utf8")).split("\n");
  // The kernel writes blanks and the like as \040 (proc_pid_mountinfo(5)).
  const unescaped = (path: string) =>
    path.replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
  return lines.map(line => unescaped(line.split(" ")[4] ?? ""));
}

/** Where the CNI library notes what it did for each container. */
const cniResults = "/var/lib/cni/results";

/** What kubelet, containerd and CNI write at fixed places outside the state folder. */
async function removeTraces(): Promise<void> {
  for (const name of await names("/var/log/containers")) {
    const link = join("/var/log/containers", name);
    const target = await readlink(link).catch(() => "");
    if (target.startsWith(`${stateFolder()}/`)) await rm(link, { force: true });
  }
  for (const name of await names(cniResults)) {
    const file = join(cniResults, name);
    // JSON that names the network namespace, which containerd keeps in our folder.
    const text = await readFile(file, "utf8").catch(() => "");
    if (text.includes(JSON.stringify(`${stateFolder()}/`).slice(1, -1))) await rm(file, { force: true });
  }
  await removeEmptyGroups("/sys/fs/cgroup/kubepods");
  for (const controller of await names("/sys/fs/cgroup")) {
    await removeEmptyGroups(join("/sys/fs/cgroup", controller, "kubepods"));
  }
}

/** Removes a control group and its children where no process is in them; the kernel refuses the others. */
async function removeEmptyGroups(group: string): Promise<void> {
  if (!existsSync(group)) return;
  const children = await readdir(group, { withFileTypes: true });
  for (const child of children) if (child.isDirectory()) await removeEmptyGroups(join(group, child.name));
  await rmdir(group).catch(() => {});
}

async function names(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch(() => []);
}
