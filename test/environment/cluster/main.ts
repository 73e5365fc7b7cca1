import { Command, CommanderError } from "commander";
import { messageOf } from "../../../src/error.ts";
import { nodeUnavailable } from "./cluster.ts";
import { dropCluster } from "./down.ts";
import { ClusterError } from "./error.ts";
import { GIVEN, givenKubeconfig } from "./given.ts";
import { reporter } from "./progress.ts";
import { kubeconfigPath } from "./settings.ts";
import { clusterStatus, givenStatus, statusTable } from "./status.ts";
import { raiseCluster } from "./up.ts";

const usageError = 2;
const { progress, end } = reporter(process.stderr, () => performance.now());

const program = new Command("cluster")
  .description(
    "The project's own local Kubernetes cluster: real parts, built from pinned Go modules on first use and kept in the cache.",
  )
  .exitOverride()
  .showHelpAfterError("(add --help for what there is)")
  .addHelpText(
    "after",
    `
Examples:
  npm run cluster -- up                                  start it, or what of it is missing
  npm run cluster -- up --control-plane-only             no node: pods are created but don't run
  npm run cluster -- status --json
  export KUBECONFIG=$(npm run -s cluster -- kubeconfig)  for kubectl, helm and wasmount
  npm run cluster -- down                                end it and all its pods

Environment:
  WASMOUNT_CACHE      the folder of built parts, images and state (default: ~/.cache/wasmount)
  WASMOUNT_NO_APT     set: never install missing Debian packages
  KUBEBUILDER_ASSETS  a folder with etcd and kube-apiserver to use instead of building them
  WASMOUNT_KUBECONFIG a kubeconfig, or "current" for kubectl's own: tests and the demo use that cluster in place of this
                      one, kubeconfig prints its path, status asks it, and up and down refuse

A node needs Linux and root; without, up starts the control plane only. One machine runs one cluster at a time.
Exit status: 0 done, 1 failed or not up, 2 wrong usage.`,
  );

program
  .command("up")
  .description("start the cluster, or what of it is missing, and wait until it is ready")
  .option("--control-plane-only", "start no node")
  .action(async (options: { controlPlaneOnly?: boolean }) => {
    refuseGiven();
    const obstacle = options.controlPlaneOnly ? "--control-plane-only" : await nodeUnavailable();
    if (obstacle && !options.controlPlaneOnly) progress(`no node, the control plane only: ${obstacle}`);
    const { settings, wasUp } = await raiseCluster(obstacle === null, progress);
    end();
    console.log(wasUp ? "the cluster is already up" : "the cluster is up");
    console.log(`export KUBECONFIG=${kubeconfigPath()}`);
    console.log(`kubectl: ${settings.binaries["kubectl"] ?? "not there"}`);
  });

program
  .command("down")
  .description("end everything that up started, and remove its state; built parts and images stay")
  .action(async () => {
    refuseGiven();
    const wasThere = await dropCluster(progress);
    end();
    console.log(wasThere ? "the cluster is down" : "no local cluster is up");
  });

program
  .command("status")
  .description("each component's process, address and health; exit status 1 unless all are well")
  .option("--json", "as JSON")
  .action(async (options: { json?: boolean }) => {
    const given = givenKubeconfig();
    const status = given === null ? await clusterStatus() : await givenStatus(given);
    console.log(options.json ? JSON.stringify(status, null, 2) : statusTable(status));
    if (!status.up) process.exitCode = 1;
  });

program
  .command("kubeconfig")
  .description("print the path of the admin's kubeconfig")
  .action(async () => {
    const kubeconfig = givenKubeconfig() ?? (await clusterStatus()).kubeconfig;
    if (!kubeconfig) throw new ClusterError("NotRunning", 'no local cluster is up: run "npm run cluster -- up" first');
    console.log(kubeconfig);
  });

function refuseGiven(): void {
  const given = givenKubeconfig();
  if (given !== null) throw new ClusterError("NotOurs", `${GIVEN} names the cluster of ${given}: unset it first`);
}

try {
  await program.parseAsync();
} catch (error) {
  end();
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : usageError;
  } else {
    console.error(
      `cluster: ${error instanceof ClusterError ? error.message : ((error as Error).stack ?? messageOf(error))}`,
    );
    process.exitCode = 1;
  }
}
