import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { CoreV1Api, PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import type { Interruption } from "../../src/kube/collection-watch.ts";
import { type NamespaceCache, namespaceCache } from "../../src/kube/namespace-cache.ts";
import { type Cluster, clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { unavailable } from "../environment/requirement.ts";
import { until } from "../environment/until.ts";

const NAMESPACE = "integration-namespace-cache";
const WRITES = 200;

describe("namespaces watched on a real API server", function () {
  this.timeout(15 * 60_000);
  let cluster: Cluster;
  let api: CoreV1Api;
  let cache: NamespaceCache;
  const interruptions: Interruption[] = [];

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    cluster = await openCluster({ node: false, progress: line => console.log(`      ${line}`) });
    api = cluster.kubeConfig.makeApiClient(CoreV1Api);
    cache = namespaceCache(cluster.kubeConfig, {
      keep: key => key.startsWith("wasmount.dev/"),
      interrupted: reason => interruptions.push(reason),
    });
  });

  after(async () => {
    await cache?.close();
    await api?.deleteNamespace({ name: NAMESPACE }).catch(() => {});
  });

  /** What the cache throws is never borne: it is to know namespaces all the while. */
  const eventually = (what: string, holds: () => boolean | Promise<boolean>) =>
    until(what, holds, { seconds: 30, pauseMs: 50, bears: () => false });

  async function patch(metadata: object): Promise<void> {
    const merge = setHeaderOptions("Content-Type", PatchStrategy.MergePatch);
    await api.patchNamespace({ name: NAMESPACE, body: { metadata } }, merge);
  }

  it("is not ready at first, and is once namespaces are listed", async () => {
    assert.match(cache.notReady() ?? "", /not listed yet/);
    await eventually("the list", () => cache.notReady() === null);
    assert.equal(cache.synced(), true);
    assert.equal((await cache.get("default"))?.labels["kubernetes.io/metadata.name"], "default");
  });

  it("sees a namespace come, change and go, and keeps of its annotations only ours", async () => {
    await api.deleteNamespace({ name: NAMESPACE }).catch(() => {});
    await eventually("the old namespace to be gone", async () => (await cache.get(NAMESPACE)) === null);
    const annotations = { "wasmount.dev/module.a": "registry.example/a:1", "example.com/other": "x" };
    await api.createNamespace({ body: { metadata: { name: NAMESPACE, annotations } } });
    assert.deepEqual((await cache.get(NAMESPACE))?.annotations, { "wasmount.dev/module.a": "registry.example/a:1" });
    await patch({ labels: { "wasmount.dev/inject": "true" } });
    await eventually("the label", async () => (await cache.get(NAMESPACE))?.labels["wasmount.dev/inject"] === "true");
    await api.deleteNamespace({ name: NAMESPACE });
    await eventually("the namespace to be gone", async () => (await cache.get(NAMESPACE)) === null);
  });

  it("knows of a write within moments of its answer", async () => {
    await api.createNamespace({ body: { metadata: { name: NAMESPACE } } });
    await eventually("the namespace", async () => (await cache.get(NAMESPACE)) !== null);
    const lags: number[] = [];
    let behind = 0;
    for (let write = 0; write < WRITES; write += 1) {
      await patch({ labels: { write: `w${write}` } });
      const answered = performance.now();
      const seen = async () => (await cache.get(NAMESPACE))?.labels["write"] === `w${write}`;
      if (!(await seen())) behind += 1;
      while (!(await seen())) {
        if (performance.now() - answered > 10_000) assert.fail(`write ${write} was not seen within 10 s`);
        await turn();
      }
      lags.push(performance.now() - answered);
    }
    lags.sort((a, b) => a - b);
    const at = (share: number) => (lags[Math.min(WRITES - 1, Math.floor(share * WRITES))] ?? 0).toFixed(2);
    console.log(
      `      seen after the write's answer: median ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms; ` +
        `${behind} of ${WRITES} not yet there at the answer`,
    );
    assert.deepEqual(
      interruptions.filter(reason => reason !== "Ended"),
      [],
    );
  });
});
