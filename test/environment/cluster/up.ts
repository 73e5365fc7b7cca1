import { mkdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { cacheFolder } from "../cache.ts";
import { pauseImage } from "../images/images.ts";
import { type Binaries, clusterBinaries } from "./binaries.ts";
import { ensureCertificates } from "./certificates.ts";
import { type Component, components, containerdSocket } from "./component.ts";
import { pauseReference, writeConfiguration } from "./configuration.ts";
import { importArchive, removeContainers } from "./containerd.ts";
import { ClusterError } from "./error.ts";
import { healthProblem } from "./health.ts";
import { locked } from "./lock.ts";
import { raiseNetwork } from "./network.ts";
import { nodeTools } from "./packages.ts";
import { installPolicyDefinitions } from "./policy-definitions.ts";
import { checkFree } from "./ports.ts";
import { isRunning, type ProcessRecord, readRecord, startDetached, stopRecorded } from "./process.ts";
import type { Progress } from "./progress.ts";
import { clusterProblem } from "./readiness.ts";
import {
  choosePorts,
  chooseSettings,
  kubeconfigPath,
  readSettings,
  type Settings,
  stateFolder,
  writeSettings,
} from "./settings.ts";
import { endStrays } from "./strays.ts";

/** A cluster that is up. */
export interface RaisedCluster {
  readonly settings: Settings;
  /** Whether nothing had to be done. */
  readonly wasUp: boolean;
}

/** How long one component may take to answer, and the cluster to get ready, in milliseconds. */
const limits = { component: 90_000, cluster: 120_000, lock: 20 * 60_000 } as const;

/** The file that one `up` or `down` at a time holds. */
export function lockFile(): string {
  return cacheFolder("cluster.lock");
}

/** The pid file of a component. */
export function pidFile(name: string): string {
  return stateFolder(`${name}.pid`);
}

/**
 * Raises the local cluster, or what of it is missing: a component that does not run, or runs with other arguments, is
 * started again; the objects in etcd stay. With a node where asked for, and where it has had one, and with the
 * definitions of policies.
 * @throws ClusterError with the end of the log where a component does not get ready in time.
 */
export function raiseCluster(node: boolean, progress: Progress): Promise<RaisedCluster> {
  return locked(lockFile(), limits.lock, async () => {
    const known = await readSettings();
    const binaries = await clusterBinaries(node || known?.node === true, progress);
    const settings: Settings = known
      ? // One of an earlier checkout may lack some.
        { ...known, ports: { ...(await choosePorts()), ...known.ports }, binaries, node: node || known.node }
      : await chooseSettings(node, binaries);
    if (known && (await isUp(settings))) {
      // Another checkout may have raised it, with other definitions.
      await installPolicyDefinitions(kubeconfigPath());
      return { settings, wasUp: true };
    }
    await prepare(settings, progress);
    for (const component of components(settings)) {
      await ensureRunning(component, progress);
      if (component.name === "containerd") await prepareContainerd(binaries, known === null, progress);
    }
    progress(settings.node ? "waiting for the node to get ready" : "waiting for the cluster to get ready");
    await waitFor(limits.cluster, "the cluster", () => clusterProblem(settings), logsToShow(settings));
    await installPolicyDefinitions(kubeconfigPath());
    return { settings, wasUp: false };
  });
}

/** Starts a component again that does not run, and waits until it answers. @throws ClusterError */
export function reviveComponent(name: string, progress: Progress): Promise<void> {
  return locked(lockFile(), limits.lock, async () => {
    const settings = await readSettings();
    const component = settings && components(settings).find(one => one.name === name);
    if (!component) throw new ClusterError("NotReady", `there is no component ${name} to start`);
    await ensureRunning(component, progress);
  });
}

async function isUp(settings: Settings): Promise<boolean> {
  for (const component of components(settings)) {
    const record = await readRecord(pidFile(component.name));
    if (!record || !isSame(record, component) || !(await isRunning(record))) return false;
    if ((await healthProblem(component)) !== null) return false;
  }
  return (await clusterProblem(settings)) === null;
}

async function prepare(settings: Settings, progress: Progress): Promise<void> {
  const socket = containerdSocket();
  // sockaddr_un holds 107 bytes (unix(7)), and containerd makes a second socket with ".ttrpc" behind the name.
  if (Buffer.byteLength(socket) > 100) {
    throw new ClusterError("PathTooLong", `${socket} is too long for a socket: set WASMOUNT_CACHE to a shorter path`);
  }
  await mkdir(stateFolder(), { recursive: true, mode: 0o700 });
  const tools = settings.node ? await nodeTools(progress) : null;
  if (settings.node) await raiseNetwork();
  await writeSettings(settings);
  await ensureCertificates(Date.now());
  await writeConfiguration(settings, tools);
  await endStrays();
}

async function ensureRunning(component: Component, progress: Progress): Promise<void> {
  const { name, command, args, path } = component;
  const record = await readRecord(pidFile(name));
  if (record && (await isRunning(record))) {
    if (isSame(record, component) && (await healthProblem(component)) === null) return;
    await stopRecorded(record, pidFile(name), 10_000);
  }
  for (const port of component.ports) await checkFree(port, name);
  progress(`starting ${name}`);
  const logFile = stateFolder("logs", `${name}.log`);
  const started = await startDetached({
    command,
    args,
    env: environment(component, path),
    cwd: stateFolder(),
    logFile,
    pidFile: pidFile(name),
  });
  await waitFor(limits.component, name, () => startProblem(component, started), [logFile]);
}

/** A process that has ended can't get ready any more: that is thrown, not waited for. */
async function startProblem(component: Component, record: ProcessRecord): Promise<string | null> {
  if (!(await isRunning(record))) throw new ClusterError("NotReady", `${component.name} ended right after its start`);
  return healthProblem(component);
}

async function waitFor(
  limit: number,
  what: string,
  problem: () => Promise<string | null>,
  logs: readonly string[],
): Promise<void> {
  const deadline = performance.now() + limit;
  try {
    for (;;) {
      const current = await problem();
      if (current === null) return;
      if (performance.now() > deadline) {
        throw new ClusterError("NotReady", `${what} did not get ready within ${limit / 1000} s: ${current}`);
      }
      await sleep(150);
    }
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error;
    const tails = await Promise.all(logs.map(logTail));
    throw new ClusterError(error.code, [error.message, ...tails].join("\n"), { cause: error });
  }
}

async function logTail(path: string): Promise<string> {
  const text = await readFile(path, "utf8").catch(() => "");
  return `--- the end of ${path}\n${text.trimEnd().split("\n").slice(-15).join("\n")}`;
}

function logsToShow(settings: Settings): readonly string[] {
  const names = settings.node ? ["kubelet", "containerd", "kube-controller-manager"] : ["kube-controller-manager"];
  return names.map(name => stateFolder("logs", `${name}.log`));
}

/** Before the kubelet starts. A new cluster inherits images, but not the containers of one that was not ended well. */
async function prepareContainerd(binaries: Binaries, isNew: boolean, progress: Progress): Promise<void> {
  if (isNew) await removeContainers(binaries["containerd"] ?? "");
  const image = await pauseImage(pauseReference, binaries["pause"] ?? "");
  await importArchive(binaries["containerd"] ?? "", image.archivePath, progress);
}

function isSame(record: ProcessRecord, component: Component): boolean {
  return record.command === component.command && JSON.stringify(record.args) === JSON.stringify(component.args);
}

/** Only containerd talks to the world: the others reach each other by addresses that a proxy setting would divert. */
function environment(component: Component, path: readonly string[]): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(
    ([name]) => component.name === "containerd" || !/^(https?|all|no)_proxy$/i.test(name),
  );
  const search = [...path, process.env["PATH"] ?? "", "/usr/sbin", "/sbin"].join(":");
  return { ...Object.fromEntries(entries), PATH: search };
}
