import { once } from "node:events";
import { parseArgs } from "node:util";
import { GIVEN } from "../cluster/given.ts";
import { Cleanup } from "./cleanup.ts";
import { clusterDemo } from "./cluster.ts";
import { directCreation, localDemo } from "./local.ts";
import { paint, Steps } from "./terminal.ts";

const HELP = `usage: npm run demo [-- --cluster [--kubeconfig FILE|current]] [--keep]

Shows the main job: builds a filter, pushes it to a registry, lets the webhook patch an annotated pod, runs the pod, and
asks for a page through Envoy. Then changes one byte of the module and shows the refusal. Everything runs as processes of
this machine, without root and without a cluster.

  --cluster          the same with real pods on the local cluster (npm run cluster -- up; raised where it is down).
                     Without root a real API server admits the pod and local processes run it
  --kubeconfig FILE  with --cluster: on the cluster of that file, or with "current" on kubectl's own (KUBECONFIG, or
                     ~/.kube/config). Its API server must reach this machine's loopback, and local processes run the pod
  --keep             leave it running until Ctrl-C
  --help             this text

Examples:
  npm run demo
  npm run demo -- --keep
  npm run demo -- --cluster --kubeconfig current
`;

const { values } = parseArgs({
  options: {
    cluster: { type: "boolean" },
    kubeconfig: { type: "string" },
    keep: { type: "boolean" },
    help: { type: "boolean" },
  },
});
if (values.kubeconfig !== undefined) {
  if (!values.cluster) {
    process.stderr.write("demo: --kubeconfig goes with --cluster\n");
    process.exit(2);
  }
  process.env[GIVEN] = values.kubeconfig;
}
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}

const cleanup = new Cleanup();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, async () => {
    await cleanup.run();
    process.exit(130);
  });
}
try {
  const invitation = values.cluster
    ? await clusterDemo(new Steps(), cleanup)
    : await localDemo(new Steps(), cleanup, directCreation);
  if (values.keep) {
    process.stdout.write(`\nStill running. Try: ${paint("bold", invitation)}\nCtrl-C ends it.\n`);
    await once(process, "wasmount-never");
  }
  await cleanup.run();
  process.stdout.write(`\n${paint("green", "demo: ok")}\n`);
} catch (error) {
  await cleanup.run();
  process.stderr.write(`\n${paint("red", "demo: failed")}: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
