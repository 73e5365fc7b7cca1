import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { type Cluster, clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { attempt } from "../environment/cluster/command.ts";
import type { ClusterStatus } from "../environment/cluster/status.ts";
import { unavailable } from "../environment/requirement.ts";
import { until } from "../environment/until.ts";

const main = fileURLToPath(new URL("../environment/cluster/main.ts", import.meta.url));
const command = (...args: string[]) => attempt(process.execPath, [main, ...args]);

async function status(): Promise<ClusterStatus> {
  return JSON.parse((await command("status", "--json")).stdout) as ClusterStatus;
}

describe("the local cluster's control plane", function () {
  this.timeout(60_000);
  const namespace = `cluster-${process.pid}`;
  let cluster: Cluster;
  let core: CoreV1Api;

  before(async function () {
    // A cold build of all parts on two cores, and then some.
    this.timeout(20 * 60_000);
    const reason = process.env["WASMOUNT_KUBECONFIG"]
      ? "WASMOUNT_KUBECONFIG names another cluster"
      : await clusterUnavailable({ node: false });
    if (reason) unavailable(this, reason);
    cluster = await openCluster({ node: false, progress: line => console.log(`      ${line}`) });
    if (!cluster.binaries["kube-controller-manager"]) {
      unavailable(this, "KUBEBUILDER_ASSETS has no kube-controller-manager, and there is no Go to build it");
    }
    core = cluster.kubeConfig.makeApiClient(CoreV1Api);
    const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
    await core.createNamespace({ body: { metadata: { name: namespace, labels } } });
  });

  after(async () => {
    await core?.deleteNamespace({ name: namespace });
  });

  it("answers kubectl's /readyz through a kubeconfig that trusts its CA and no other", async () => {
    const kubectl = cluster.binaries["kubectl"] ?? "";
    const ready = await attempt(kubectl, ["--kubeconfig", cluster.kubeconfigPath, "get", "--raw", "/readyz"]);
    assert.deepEqual(ready, { status: 0, stdout: "ok", stderr: "" });
    assert.doesNotMatch(await readFile(cluster.kubeconfigPath, "utf8"), /insecure/);
  });

  it("keeps the admin's kubeconfig to its owner", async () => {
    assert.equal((await stat(cluster.kubeconfigPath)).mode & 0o777, 0o600);
  });

  it("refuses who has no token", async () => {
    const stranger = new KubeConfig();
    stranger.loadFromFile(cluster.kubeconfigPath);
    stranger.users = [{ name: "admin" }];
    await assert.rejects(
      stranger.makeApiClient(CoreV1Api).listNamespace(),
      (error: Error & { readonly code?: number }) => error.code === 401 || error.code === 403,
    );
  });

  it("gives a new namespace its default ServiceAccount", async () => {
    const isThere = async () => {
      const { items } = await core.listNamespacedServiceAccount({ namespace });
      return items.some(({ metadata }) => metadata?.name === "default");
    };
    await until("the ServiceAccount", isThere, { seconds: 50, pauseMs: 100, bears: () => false });
  });

  it("enforces Pod Security", async () => {
    const containers = [{ name: "app", image: "local/none:1", securityContext: { privileged: true } }];
    await assert.rejects(
      core.createNamespacedPod({ namespace, body: { metadata: { name: "privileged" }, spec: { containers } } }),
      /violates PodSecurity .*must not set securityContext\.privileged=true/,
    );
  });

  it("says of every component that it is well, with the pid of a process that runs", async () => {
    const { up, kubeconfig, components } = await status();
    assert.equal(up, true);
    assert.equal(kubeconfig, cluster.kubeconfigPath);
    const names = components.map(({ name }) => name);
    assert.deepEqual(names.slice(0, 3), ["etcd", "etcd-events", "kube-apiserver"]);
    for (const { name, pid, problem } of components) {
      assert.equal(problem, null, name);
      assert.doesNotThrow(() => process.kill(pid ?? 0, 0), name);
    }
  });

  it("leaves a cluster that is up as it is", async () => {
    const before = await status();
    const again = await command("up", "--control-plane-only");
    assert.equal(again.status, 0);
    assert.match(again.stdout, /already up/);
    assert.deepEqual(await status(), before);
  });

  it("starts again what has ended, and only that, and keeps the objects", async function () {
    this.timeout(120_000);
    const before = await status();
    const pidOf = (from: ClusterStatus, name: string) => from.components.find(row => row.name === name)?.pid;
    process.kill(pidOf(before, "kube-scheduler") ?? 0, "SIGKILL");
    const broken = await command("status");
    assert.equal(broken.status, 1);
    assert.match(broken.stdout, /kube-scheduler .* ended/);

    assert.equal((await command("up", "--control-plane-only")).status, 0);
    const after = await status();
    assert.equal(after.up, true);
    assert.notEqual(pidOf(after, "kube-scheduler"), pidOf(before, "kube-scheduler"));
    assert.equal(pidOf(after, "kube-apiserver"), pidOf(before, "kube-apiserver"));
    assert.equal((await core.readNamespace({ name: namespace })).metadata?.name, namespace);
  });

  it("prints the kubeconfig's path alone", async () => {
    const { status: code, stdout } = await command("kubeconfig");
    assert.deepEqual([code, stdout], [0, `${cluster.kubeconfigPath}\n`]);
  });

  it("answers wrong usage with exit status 2", async () => {
    assert.equal((await command("sideways")).status, 2);
    assert.equal((await command("up", "--unknown")).status, 2);
  });
});
