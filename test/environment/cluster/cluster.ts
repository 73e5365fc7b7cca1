import { KubeConfig } from "@kubernetes/client-node";
import { messageOf } from "../../../src/error.ts";
import { type Binaries, binaryOf, givenAssets } from "./binaries.ts";
import { importArchive } from "./containerd.ts";
import { ClusterError } from "./error.ts";
import { findExecutable } from "./executable.ts";
import { givenKubeconfig } from "./given.ts";
import { findGo } from "./go.ts";
import { podNetwork } from "./network.ts";
import { packagesUnavailable } from "./packages.ts";
import { installPolicyDefinitions } from "./policy-definitions.ts";
import type { Progress } from "./progress.ts";
import { kubeconfigPath, stateFolder } from "./settings.ts";
import { raiseCluster } from "./up.ts";

/** A cluster to test against. */
export interface Cluster {
  readonly kubeconfigPath: string;
  readonly kubeConfig: KubeConfig;
  /** Paths by name; `kubectl` is always among them. */
  readonly binaries: Binaries;
  /** Whether it is the local cluster with its own node, into which images can be imported. */
  readonly hasNode: boolean;
  /** The node's address; null without a node of ours. */
  readonly nodeAddress: string | null;
  /** The address at which pods reach servers of this machine (that listen there or on all addresses); null likewise. */
  readonly hostAddressForPods: string | null;
  /** The API server's audit log (JSON lines, writes to pods, level Metadata); null for a cluster that is not ours. */
  readonly auditLogPath: string | null;
  /**
   * Imports the image of an OCI archive into the node, unless it has the same one.
   * @returns the reference that pods name it by (with imagePullPolicy IfNotPresent or Never).
   */
  readonly importImage: (archivePath: string) => Promise<string>;
}

export interface OpenOptions {
  /** Whether pods have to run, not only be created. */
  readonly node: boolean;
  readonly progress?: Progress;
}

/**
 * The running local cluster, raised (and its parts built) where it is not up; or the cluster that
 * `WASMOUNT_KUBECONFIG` names. Either gets the definitions of policies. It stays up afterwards: `npm run cluster -- down` ends it.
 * @throws ClusterError where this machine can't run it: ask {@link clusterUnavailable} first.
 */
export async function openCluster({ node, progress = () => {} }: OpenOptions): Promise<Cluster> {
  const given = givenKubeconfig();
  if (given) return openGiven(given, progress);
  const { settings } = await raiseCluster(node, progress);
  const containerd = settings.node ? settings.binaries["containerd"] : undefined;
  return {
    kubeconfigPath: kubeconfigPath(),
    kubeConfig: load(kubeconfigPath()),
    binaries: settings.binaries,
    hasNode: settings.node,
    nodeAddress: settings.node ? podNetwork.gateway : null,
    hostAddressForPods: settings.node ? podNetwork.gateway : null,
    auditLogPath: stateFolder("logs", "audit.json"),
    importImage: async archivePath => {
      if (!containerd) throw new ClusterError("NodeUnsupported", "this cluster has no node to import an image into");
      return importArchive(containerd, archivePath, progress);
    },
  };
}

/**
 * Why this machine can't run the local cluster, with a node or its control plane alone; null when it can. Nothing is
 * built or installed to tell.
 */
export async function clusterUnavailable({ node }: { readonly node: boolean }): Promise<string | null> {
  if (node) return nodeUnavailable();
  if (givenKubeconfig() !== null) return null;
  return givenAssets() ? null : goProblem();
}

/** Why this machine can't run a node; null when it can. */
export async function nodeUnavailable(): Promise<string | null> {
  const given = givenKubeconfig();
  if (given !== null) return `the cluster of ${given} is not ours: its nodes can't reach servers of this machine`;
  if (process.platform !== "linux") return `a node needs Linux, and this is ${process.platform}`;
  if (process.getuid?.() !== 0) return "a node needs root";
  return (await goProblem()) ?? (await packagesUnavailable());
}

async function goProblem(): Promise<string | null> {
  try {
    await findGo();
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

async function openGiven(path: string, progress: Progress): Promise<Cluster> {
  await installPolicyDefinitions(path);
  const kubectl = (await findExecutable("kubectl")) ?? (await binaryOf("kubectl", progress));
  return {
    kubeconfigPath: path,
    kubeConfig: load(path),
    binaries: { kubectl },
    hasNode: false,
    nodeAddress: null,
    hostAddressForPods: null,
    auditLogPath: null,
    importImage: async () => {
      throw new ClusterError("NodeUnsupported", `images can't be imported into the nodes of ${path}`);
    },
  };
}

function load(path: string): KubeConfig {
  const config = new KubeConfig();
  config.loadFromFile(path);
  return config;
}
