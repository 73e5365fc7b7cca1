import { randomBytes } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { cacheFolder } from "../cache.ts";
import type { Binaries } from "./binaries.ts";
import { freePorts } from "./ports.ts";

/** What one cluster is started with, chosen by its first `up` and kept until `down`. */
export interface Settings {
  /** Whether it has a node. */
  readonly node: boolean;
  readonly ports: Ports;
  /** The binaries that it was last started from. */
  readonly binaries: Binaries;
  /** Bearer token of each user of the API server. */
  readonly tokens: Readonly<Record<User, string>>;
}

export type User = "admin" | "controllerManager" | "scheduler" | "kubelet" | "proxy";

export interface Ports {
  readonly api: number;
  readonly etcdClient: number;
  readonly etcdPeer: number;
  readonly eventsClient: number;
  readonly eventsPeer: number;
  readonly controllerManager: number;
  readonly scheduler: number;
  readonly kubelet: number;
  readonly kubeletHealth: number;
  readonly proxyHealth: number;
  readonly proxyMetrics: number;
}

/** The folder of everything that lives from `up` to `down`: pid files, logs, keys, etcd's data. */
export function stateFolder(...segments: string[]): string {
  return cacheFolder("state", ...segments);
}

/** containerd's images and snapshots: outlive `down`, so that nothing is imported twice. */
export function containerdRoot(): string {
  return cacheFolder("containerd");
}

/** The kubeconfig of the local cluster's admin; there from `up` to `down`. */
export function kubeconfigPath(): string {
  return stateFolder("kubeconfig");
}

/** Ports that are free now. */
export async function choosePorts(): Promise<Ports> {
  const [api = 0, etcdClient = 0, etcdPeer = 0, eventsClient = 0, eventsPeer = 0, ...others] = await freePorts(11);
  const [controllerManager = 0, scheduler = 0, ...ofNode] = others;
  const [kubelet = 0, kubeletHealth = 0, proxyHealth = 0, proxyMetrics = 0] = ofNode;
  return {
    api,
    etcdClient,
    etcdPeer,
    eventsClient,
    eventsPeer,
    controllerManager,
    scheduler,
    kubelet,
    kubeletHealth,
    proxyHealth,
    proxyMetrics,
  };
}

/** Free ports and new tokens. */
export async function chooseSettings(node: boolean, binaries: Binaries): Promise<Settings> {
  const token = () => randomBytes(24).toString("hex");
  return {
    node,
    binaries,
    ports: await choosePorts(),
    tokens: { admin: token(), controllerManager: token(), scheduler: token(), kubelet: token(), proxy: token() },
  };
}

/** The settings of the cluster that is, or was, up; null after `down`. */
export async function readSettings(): Promise<Settings | null> {
  try {
    return JSON.parse(await readFile(stateFolder("settings.json"), "utf8")) as Settings;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

export async function writeSettings(settings: Settings): Promise<void> {
  const path = stateFolder("settings.json");
  await writeFile(`${path}.new`, JSON.stringify(settings, null, 2), { mode: 0o600 });
  await rename(`${path}.new`, path);
}
