import { existsSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../../src/error.ts";
import { builtPart } from "./build.ts";
import { findGo } from "./go.ts";
import { benchmarkParts, chartParts, controlPlaneParts, meshParts, nodeParts, type Part, peerParts } from "./parts.ts";
import type { Progress } from "./progress.ts";

/** The path of each binary by its name. */
export type Binaries = Readonly<Record<string, string>>;

/** A folder with ready-made `etcd`, `kube-apiserver` and `kubectl`, as the envtest tools name it. */
export function givenAssets(): string | null {
  return process.env["KUBEBUILDER_ASSETS"] || null;
}

/**
 * The binaries of a control plane, and with a node of the node. A binary that the folder `KUBEBUILDER_ASSETS` has is
 * taken from there; all others are built, where Go is there. With `KUBEBUILDER_ASSETS` and without Go the
 * controller-manager and the scheduler may be absent.
 * @throws ClusterError where a necessary binary is neither given nor can be built.
 */
export async function clusterBinaries(node: boolean, progress: Progress): Promise<Binaries> {
  const binaries: Record<string, string> = {};
  for (const part of node ? [...controlPlaneParts, ...nodeParts] : controlPlaneParts) {
    Object.assign(binaries, given(part) ?? (await built(part, progress)));
  }
  return binaries;
}

/** One binary by its part's name, given or built. */
export async function binaryOf(name: string, progress: Progress): Promise<string> {
  const parts = [...controlPlaneParts, ...nodeParts, ...peerParts, ...meshParts, ...chartParts, ...benchmarkParts];
  const part = parts.find(candidate => candidate.name === name);
  if (!part) throw new TypeError(`there is no part ${name}`);
  const found = (given(part) ?? (await build(part, progress)))[name];
  if (!found) throw new TypeError(`the part ${name} has no binary of its name`);
  return found;
}

function given(part: Part): Binaries | null {
  const folder = givenAssets();
  if (!folder) return null;
  const path = join(folder, part.name);
  return existsSync(path) ? { [part.name]: path } : null;
}

/** What a control plane does without when it is made from given binaries on a machine without Go. */
const dispensable = ["kube-controller-manager", "kube-scheduler", "kubectl"];

async function built(part: Part, progress: Progress): Promise<Binaries> {
  try {
    return await build(part, progress);
  } catch (error) {
    if (!givenAssets() || !dispensable.includes(part.name)) throw error;
    progress(`going without ${part.name}, which KUBEBUILDER_ASSETS lacks: ${messageOf(error)}`);
    return {};
  }
}

async function build(part: Part, progress: Progress): Promise<Binaries> {
  const folder = await builtPart(part, await findGo(), progress);
  return Object.fromEntries(Object.keys(part.binaries).map(name => [name, join(folder, name)]));
}
