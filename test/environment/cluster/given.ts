import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { ClusterError } from "./error.ts";

/** Names a cluster to use in place of the local one: the path of its kubeconfig, or "current" for kubectl's own. */
export const GIVEN = "WASMOUNT_KUBECONFIG";

/**
 * The kubeconfig of the cluster of one's own choice; null for the local one. Kubectl's own is only taken where it is
 * asked for: these programs write webhook registrations, which no cluster should get by accident.
 * @throws ClusterError NoKubeconfig
 */
export function givenKubeconfig(environment: NodeJS.ProcessEnv = process.env): string | null {
  const given = environment[GIVEN];
  if (!given) return null;
  const path = given === "current" ? currentKubeconfig(environment) : resolve(given);
  if (existsSync(path)) return path;
  throw new ClusterError("NoKubeconfig", `${GIVEN}=${given}: there is no file ${path}`);
}

/** Where kubectl looks. It can merge several files, which a webhook's --kubeconfig can't. */
function currentKubeconfig(environment: NodeJS.ProcessEnv): string {
  const files = (environment["KUBECONFIG"] ?? "").split(delimiter).filter(file => file !== "");
  const [file, ...more] = files;
  if (file === undefined) return join(environment["HOME"] ?? homedir(), ".kube/config");
  if (more.length === 0) return resolve(file);
  throw new ClusterError("NoKubeconfig", `KUBECONFIG names ${files.length} files: name one of them with ${GIVEN}`);
}
