import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { binaryOf } from "./cluster/binaries.ts";
import type { Cluster } from "./cluster/cluster.ts";
import { attempt } from "./cluster/command.ts";
import { findGo, goEnvironment } from "./cluster/go.ts";
import type { Progress } from "./cluster/progress.ts";
import type { Kubectl } from "./kubectl.ts";

/** cert-manager's controllers and its cainjector, with their definitions in the cluster. */
export interface CertManager {
  /** All that it logged. */
  readonly log: () => string;
  /** Ends it, and takes the definitions away with all that is of them. */
  stop(): Promise<void>;
}

const folder = fileURLToPath(new URL("modules/cert-manager", import.meta.url));
const kinds = ["certificaterequests", "certificates", "clusterissuers", "issuers"];

export async function startCertManager(cluster: Cluster, kubectl: Kubectl, progress: Progress): Promise<CertManager> {
  const binary = await binaryOf("cert-manager", progress);
  const definitions = await definitionFiles();
  for (const file of definitions) await kubectl.run(["apply", "--server-side", "-f", file]);
  await kubectl.run(["wait", "--for=condition=Established", ...definitions.flatMap(file => ["-f", file])]);
  const child = spawn(binary, [], {
    env: { ...process.env, KUBECONFIG: cluster.kubeconfigPath },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const exited = once(child, "exit");
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  return {
    log: () => log,
    async stop() {
      child.kill("SIGTERM");
      await exited;
      for (const file of definitions) await kubectl.run(["delete", "--ignore-not-found", "-f", file]);
    },
  };
}

/** They come with the module that the controllers are built of. */
async function definitionFiles(): Promise<readonly string[]> {
  const { path } = await findGo();
  const args = ["list", "-m", "-f", "{{.Dir}}", "github.com/cert-manager/cert-manager"];
  const { stdout, status, stderr } = await attempt(path, args, { cwd: folder, env: goEnvironment() });
  if (status !== 0) throw new Error(`go ${args.join(" ")}: ${stderr}`);
  return kinds.map(kind => join(stdout.trim(), "deploy", "crds", `cert-manager.io_${kind}.yaml`));
}
