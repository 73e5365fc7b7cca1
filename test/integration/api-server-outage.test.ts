import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { CoreV1Api, KubeConfig, PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import { parseConfig } from "../../src/config/load.ts";
import { createLogger } from "../../src/observe/log.ts";
import { createMetrics } from "../../src/observe/metrics.ts";
import { openCluster as openWebhookCluster, type Cluster as WebhookCluster } from "../../src/webhook/cluster.ts";
import { type Cluster, clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { unavailable } from "../environment/requirement.ts";
import { startTcpProxy, type TcpProxy } from "../environment/tcp-proxy.ts";
import { until } from "../environment/until.ts";
import { stuckRegistries } from "../webhook/stuck-registries.ts";

const NAMESPACE = "integration-api-server-outage";
const OUTAGE_MS = 30_000;
/** Namespaces, LimitRanges, pods; two kinds of policies, Secrets and ConfigMaps, which are one cache; and the leader's pods. */
const WATCHES = 8;
const CACHES = 4;
/**
 * The shortest waits after failures are 125 ms, 250 ms, … 8 s: seven add up to 16 s, and the eighth of at least 15 s
 * passes the outage's end. Whatever a machine's pace, nobody can ask more often.
 */
const ATTEMPTS = 8;
/** A leader tries every 2 s until it gives up after 10 s, each time in a call; and then less and less often. */
const RENEWALS = 5 + 4;

describe("an API server that is away for half a minute", function () {
  this.timeout(10 * 60_000);
  let cluster: Cluster;
  let api: CoreV1Api;
  let proxy: TcpProxy;
  let webhook: WebhookCluster;
  const metrics = createMetrics();

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    cluster = await openCluster({ node: false, progress: line => console.log(`      ${line}`) });
    api = cluster.kubeConfig.makeApiClient(CoreV1Api);
    await api.createNamespace({ body: { metadata: { name: NAMESPACE } } }).catch(error => {
      if (error.code !== 409) throw error;
    });
    await label("before");
    const server = cluster.kubeConfig.getCurrentCluster()?.server ?? "";
    proxy = await startTcpProxy(new URL(server));
    const through = new KubeConfig();
    const text = cluster.kubeConfig.exportConfig().replaceAll(server, `https://127.0.0.1:${proxy.port}`);
    through.loadFromString(text);
    const own = `{tls: {certFile: a, keyFile: b}, fetcher: {image: c}, pins: {namespace: ${NAMESPACE}}}`;
    const config = parseConfig(own, "defaults");
    webhook = openWebhookCluster(
      through,
      config,
      { registries: stuckRegistries(), files: [] },
      createLogger("silent"),
      metrics,
    );
    webhook.stand(() => new Map());
  });

  after(async () => {
    await webhook?.close();
    proxy?.close();
    await api?.deleteNamespace({ name: NAMESPACE }).catch(() => {});
  });

  async function label(value: string): Promise<void> {
    const merge = setHeaderOptions("Content-Type", PatchStrategy.MergePatch);
    await api.patchNamespace({ name: NAMESPACE, body: { metadata: { labels: { seen: value } } } }, merge);
  }

  /** An answer from memory that fails is never borne. */
  const eventually = (what: string, holds: () => boolean | Promise<boolean>) =>
    until(() => `${what}; ${webhook.namespaces.notReady()}`, holds, {
      seconds: 120,
      pauseMs: 100,
      bears: () => false,
    });

  /** Watches that are open: one that isn't has said nothing since the cut. */
  async function contacts(): Promise<number[]> {
    const { text } = await metrics.expose();
    return [...text.matchAll(/^wasmount_cache_contact_age_seconds\{.*\} (.+)$/gm)].map(([, age]) => Number(age));
  }

  it("is asked patiently meanwhile, answered for from memory, and caught up with afterwards", async () => {
    await eventually("all caches", async () => (await contacts()).length === CACHES);
    await eventually("all watches", () => webhook.namespaces.notReady() === null);
    await eventually("a leader", async () => /^wasmount_leader 1$/m.test((await metrics.expose()).text));
    assert.equal((await webhook.namespaces.get(NAMESPACE))?.labels["seen"], "before");
    const [before, cutAt] = [proxy.connections(), performance.now()];
    proxy.cut();
    await label("meanwhile");
    await sleep(OUTAGE_MS / 2);
    const asked = proxy.connections() - before;
    assert.equal((await webhook.namespaces.get(NAMESPACE))?.labels["seen"], "before", "what is held, for a minute");
    await sleep(Math.max(0, OUTAGE_MS - (performance.now() - cutAt)));
    const attempts = proxy.connections() - before;
    console.log(`      ${asked} connections in the first half of the outage, ${attempts} in all`);
    assert.ok(asked > 0, "somebody tried");
    // One of them was ours.
    assert.ok(attempts <= WATCHES * ATTEMPTS + RENEWALS + 1, `${attempts} connections`);
    proxy.mend();
    const mended = performance.now();
    await eventually("fresh caches", async () => {
      const since = (performance.now() - mended) / 1000;
      return (await contacts()).filter(age => age < since).length === CACHES;
    });
    await eventually(
      "the change",
      async () => (await webhook.namespaces.get(NAMESPACE))?.labels["seen"] === "meanwhile",
    );
    assert.equal(webhook.namespaces.notReady(), null);
    const back = proxy.connections() - before - attempts;
    console.log(
      `      all watches are back after ${Math.round(performance.now() - mended)} ms and ${back} connections`,
    );
    // A list of a page or some, and the watch that goes on from it; reads of ours while they were not open.
    assert.ok(back <= WATCHES * 20 + RENEWALS, `${back} connections to recover`);
  });
});
