import { KubeConfig, VersionApi } from "@kubernetes/client-node";
import { messageOf } from "../../../src/error.ts";
import { type Component, components } from "./component.ts";
import { healthProblem } from "./health.ts";
import { isRunning, readRecord } from "./process.ts";
import { clusterProblem } from "./readiness.ts";
import { kubeconfigPath, readSettings, stateFolder } from "./settings.ts";
import { pidFile } from "./up.ts";

/** How one component does. */
export interface ComponentStatus {
  readonly name: string;
  /** null when it does not run. */
  readonly pid: number | null;
  readonly address: string;
  /** null when it answers as it should. */
  readonly problem: string | null;
}

/** How the local cluster does. */
export interface ClusterStatus {
  /** Whether every component answers and pods can be created. */
  readonly up: boolean;
  readonly node: boolean;
  readonly kubeconfig: string | null;
  readonly logs: string | null;
  /** What the cluster as a whole lacks, when all components are well. */
  readonly problem: string | null;
  readonly components: readonly ComponentStatus[];
}

export async function clusterStatus(): Promise<ClusterStatus> {
  const settings = await readSettings();
  if (!settings) return { up: false, node: false, kubeconfig: null, logs: null, problem: null, components: [] };
  const rows = await Promise.all(components(settings).map(componentStatus));
  const well = rows.every(({ problem }) => problem === null);
  const problem = well ? await clusterProblem(settings) : null;
  return {
    up: well && problem === null,
    node: settings.node,
    kubeconfig: kubeconfigPath(),
    logs: stateFolder("logs"),
    problem,
    components: rows,
  };
}

/** How a cluster of somebody's own does: what its API server says of itself. */
export async function givenStatus(kubeconfig: string): Promise<ClusterStatus> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const address = config.getCurrentCluster()?.server ?? "(no current context)";
  const problem = await config
    .makeApiClient(VersionApi)
    .getCode()
    .then(() => null, messageOf);
  const components = [{ name: "kube-apiserver", pid: null, address, problem }];
  return { up: problem === null, node: false, kubeconfig, logs: null, problem, components };
}

async function componentStatus(component: Component): Promise<ComponentStatus> {
  const { name, address } = component;
  const record = await readRecord(pidFile(name));
  if (!record) return { name, pid: null, address, problem: "not started" };
  if (!(await isRunning(record))) return { name, pid: null, address, problem: `ended (it was process ${record.pid})` };
  return { name, pid: record.pid, address, problem: await healthProblem(component) };
}

/** The status as a table for people. */
export function statusTable(status: ClusterStatus): string {
  if (!status.kubeconfig) return 'no local cluster is up; "npm run cluster -- up" starts one';
  const rows = [
    ["COMPONENT", "PID", "ADDRESS", "HEALTH"],
    ...status.components.map(({ name, pid, address, problem }) => [name, String(pid ?? "-"), address, problem ?? "ok"]),
  ];
  const widths = [0, 1, 2].map(column => Math.max(...rows.map(row => row[column]?.length ?? 0)));
  const lines = rows.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const ours = status.node ? "control plane and node" : "control plane only, no node";
  const kind = status.logs === null ? "a cluster of your own" : ours;
  const verdict = status.up ? "up" : `not ready${status.problem ? `: ${status.problem}` : ""}`;
  const logs = status.logs === null ? [] : [`logs       ${status.logs}`];
  return [...lines, "", `${verdict} (${kind})`, `kubeconfig ${status.kubeconfig}`, ...logs].join("\n");
}
