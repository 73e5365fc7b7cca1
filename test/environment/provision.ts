import { messageOf } from "../../src/error.ts";
import { binaryOf, clusterBinaries } from "./cluster/binaries.ts";
import { clusterUnavailable, nodeUnavailable } from "./cluster/cluster.ts";
import { givenKubeconfig } from "./cluster/given.ts";
import { benchmarkParts, chartParts, meshParts, peerParts } from "./cluster/parts.ts";
import type { Progress } from "./cluster/progress.ts";
import { envoyBinary } from "./envoy.ts";

/**
 * Installs and builds what a tier needs before its first test: a cold build takes longer than any test may. What can't
 * be had is told, and left to the tests that need it, which know whether to skip or to fail.
 */
export async function provision(tier: "integration" | "e2e", progress: Progress): Promise<void> {
  const attempt = (what: string, get: () => Promise<unknown>) =>
    get().catch(error => progress(`can't provide ${what}: ${messageOf(error)}`));
  await attempt("Envoy", () => envoyBinary(progress));
  const node = tier === "e2e" && (await nodeUnavailable()) === null;
  if (givenKubeconfig() !== null || (await clusterUnavailable({ node: false })) !== null) return;
  await attempt("the cluster's parts", () => clusterBinaries(node, progress));
  const parts =
    tier === "integration" ? [...peerParts, ...chartParts] : [...chartParts, ...benchmarkParts, ...meshParts];
  for (const { name } of parts) {
    await attempt(name, () => binaryOf(name, progress));
  }
}
