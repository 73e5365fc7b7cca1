import { mkdtemp, rm } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Option } from "commander";
import { apiServer } from "../src/kube/api-server.ts";
import { type Cluster, clusterUnavailable, openCluster } from "../test/environment/cluster/cluster.ts";
import { setMeshStage } from "../test/environment/istio/mesh.ts";
import { makeNamespace } from "../test/environment/namespace.ts";
import { startOtherWebhook } from "../test/environment/other-webhook.ts";
import { benchmark, end, integer, progress, thisMachine } from "./command.ts";
import { kinds, podMaker } from "./startup-pods.ts";
import { type StartupReport, startupTable } from "./startup-report.ts";
import { PodStarter, type Start } from "./startup-run.ts";

interface Options {
  readonly pods: number;
  readonly cpuLimit?: string;
  readonly json?: true;
}

const NAMESPACE = "bench-startup";
/** The kubelet looks for ended containers once a second: pods are to be created at any moment of it. */
const RHYTHM_MS = 1_000;

await benchmark<Options>(
  "bench:startup",
  "Measures how much later a pod of a real Istio mesh is Ready for its filter: from the call that creates it, with a filter, without, and without but with one more init container that does nothing.",
  main,
)
  .addOption(new Option("--pods <n>", "pods of each kind, in turns").default(20).argParser(integer(1, 999)))
  .addOption(new Option("--cpu-limit <quantity>", "CPU limit of the fetcher, in place of the default"))
  .option("--json", "print the result, each single pod included, as JSON")
  .addHelpText(
    "after",
    `
Examples:
  npm run bench:startup
  npm run bench:startup -- --pods 3
  npm run bench:startup -- --cpu-limit 2 --json > result.json

Raises the local cluster with its node (npm run cluster -- status), istiod, a registry and the webhook beside it; all but the
cluster end with the run. The parts are built on first use. Linux and root only.
Exit status: 0 measured, 1 failed, 2 wrong usage.`,
  )
  .parseAsync();

async function main({ pods, cpuLimit, json }: Options): Promise<void> {
  const reason = await clusterUnavailable({ node: true });
  if (reason !== null) throw new Error(`this machine can't run it: ${reason}`);
  const folder = await mkdtemp(join(tmpdir(), "wasmount-bench-"));
  try {
    const cluster = await openCluster({ node: true, progress });
    const report = await measure(cluster, folder, pods, cpuLimit);
    end();
    process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : startupTable(report));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function measure(cluster: Cluster, folder: string, count: number, cpuLimit?: string): Promise<StartupReport> {
  const undo: (() => Promise<unknown>)[] = [];
  try {
    const resources = { requests: { cpu: "10m", memory: "64Mi" }, limits: { cpu: cpuLimit, memory: "256Mi" } };
    const options = cpuLimit === undefined ? {} : { fetcher: { resources } };
    const mesh = await setMeshStage(cluster, folder, progress, options);
    undo.push(mesh.strike);
    const { kubectl } = mesh.stage;
    await makeNamespace(kubectl, NAMESPACE, { labels: { "istio-injection": "enabled" } });
    undo.push(() => kubectl.run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"]));
    const other = await startOtherWebhook(cluster.kubeConfig, "wasmount-local", NAMESPACE);
    undo.push(() => other.stop());
    const make = podMaker(mesh, other, NAMESPACE);
    const starter = new PodStarter(apiServer(cluster.kubeConfig), NAMESPACE, Date.now);
    const starts: Record<string, Start[]> = Object.fromEntries(kinds.map(kind => [kind, []]));
    const loads: number[] = [];
    // The first turn fills caches and doesn't count.
    for (let turn = 0; turn <= count; turn += 1) {
      progress(`turn ${turn} of ${count}`);
      for (const kind of kinds) {
        await sleep(Math.random() * RHYTHM_MS);
        loads.push(loadavg()[0] ?? 0);
        const start = await starter.start(make(kind, `pod-${kind}-${turn}`), kind);
        if (turn > 0) starts[kind]?.push(start);
      }
    }
    return {
      machine: thisMachine(),
      load: { least: Math.min(...loads), most: Math.max(...loads) },
      pods: count,
      starts,
    };
  } finally {
    for (let action = undo.pop(); action; action = undo.pop()) await action();
  }
}
