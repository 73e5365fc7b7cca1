import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { buildahUnavailable } from "../environment/buildah.ts";
import { type Cluster, clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { createPods, type LoadResult } from "../environment/pod-load.ts";
import { RELEASE_NAMESPACE, type ReleaseStage, replicas, setReleaseStage } from "../environment/release-stage.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";

const SHOP = "e2e-availability";
const PLAIN = "e2e-availability-plain";
/** How many creations are under way at the same time; each is a review of both sides. */
const WIDTH = 24;
/** What a replica that is killed may cost: calls in flight, and those until its endpoint is gone. */
const LOSS_MS = 2_000;

interface Meanwhile extends LoadResult {
  /** When those failed that did, in milliseconds of `performance.now()`. */
  readonly failedAt: readonly number[];
}

describe("a release of two replicas, while pods are created as fast as the API server does,", function () {
  this.timeout(30 * 60_000);

  let cluster: Cluster;
  let stage: ReleaseStage;
  const progress = (line: string) => console.log(`      ${line}`);
  const inOwn = ["-n", RELEASE_NAMESPACE];

  before(async function () {
    const reason = (await clusterUnavailable({ node: true })) ?? (await buildahUnavailable());
    if (reason !== null) unavailable(this, reason);
    cluster = await openCluster({ node: true, progress });
    stage = await setReleaseStage(cluster, SHOP, progress);
    await stage.kubectl.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: PLAIN } });
    await stage.release("install");
  });

  after(async () => {
    await stage?.kubectl.run(["delete", "namespace", PLAIN, "--ignore-not-found", "--wait=false"]);
    await stage?.strike();
  });

  /** Creates pods that ask for a filter, and pods that have nothing to do with wasmount, until a piece of work is done. */
  async function meanwhile(work: () => Promise<unknown>): Promise<Meanwhile> {
    const ending = new AbortController();
    const failedAt: number[] = [];
    let failures = 0;
    const from = performance.now();
    const load = { count: Number.POSITIVE_INFINITY, signal: ending.signal };
    const asking = createPods(cluster.kubeConfig, {
      ...load,
      namespace: SHOP,
      pod: stage.example.pod,
      width: WIDTH,
      holds: '"name":"wasmount-fetch"',
      failed() {
        failures += 1;
        failedAt.push(performance.now());
      },
    });
    const { metadata, ...plain } = stage.example.pod;
    const others = createPods(cluster.kubeConfig, {
      ...load,
      namespace: PLAIN,
      pod: { ...plain, metadata: { name: metadata.name } },
      width: 1,
      holds: '"kind":"Pod"',
    });
    await Promise.race([work(), asking, others]).finally(() => ending.abort());
    const [result, unrelated] = await Promise.all([asking, others]);
    const seconds = (performance.now() - from) / 1000;
    const rate = Math.round(result.created / seconds);
    progress(
      `${result.created} pods in ${seconds.toFixed(0)} s, ${rate} a second, ${failures} failed; both sides review each`,
    );
    assert.deepEqual([unrelated.failures, unrelated.without], [[], 0], "pods that ask for nothing");
    assert.ok(unrelated.created > 0);
    assert.equal(result.without, 0, "none is unfiltered");
    return { ...result, failedAt };
  }

  const lossless = ({ created, failures }: Meanwhile) => {
    assert.deepEqual([failures.length, failures[0]], [0, undefined]);
    assert.ok(created > 0);
  };

  it("loses none of them when it is upgraded to another image", async () => {
    lossless(await meanwhile(() => stage.release("upgrade", "--set-string", "image.tag=2")));
    for (const { spec } of await replicas(stage.kubectl)) assert.equal(spec.containers[0].image, stage.images.next);
  });

  it("loses none of them when it is upgraded back, and leaves no orphan", async () => {
    const before = await stage.remaining();
    lossless(await meanwhile(() => stage.release("upgrade", "--set-string", "image.tag=1")));
    const kept = (names: readonly string[]) => names.filter(name => !/sh\.helm\.release|^pod\/|^replicaset/.test(name));
    assert.deepEqual(kept(await stage.remaining()), kept(before));
  });

  it("loses none of them when another authority is asked for, until both replicas serve by it", async () => {
    const { kubectl } = stage;
    const authority = async () => {
      const { data } = await kubectl.get<Manifest>("secret", "wasmount-webhook-ca", ...inOwn);
      return new X509Certificate(Buffer.from(data["tls.crt"], "base64")).fingerprint256;
    };
    const first = await authority();
    const served = await servedSerials();
    lossless(
      await meanwhile(async () => {
        await kubectl.run(["annotate", "secret", "wasmount-webhook-ca", "wasmount.dev/rotate=now", ...inOwn]);
        await until("another authority", async () => (await authority()) !== first);
        await until("other serving certificates", async () => {
          const now = await servedSerials();
          return now.length === 2 && now.every(expiry => !served.includes(expiry));
        });
        // The old authority leaves no registration while certificates of it may be served.
        await sleep(5_000);
      }),
    );
  });

  it("loses what was in flight, for less than two seconds, when the leader is killed; Deployments reach full size", async () => {
    const { kubectl } = stage;
    const leader = await leaderOf();
    const victim = (await replicas(kubectl)).find(({ metadata }) => metadata.name === leader) ?? assert.fail(leader);
    const deployment = deploymentOf(stage.example.pod);
    let killed = 0;
    const result = await meanwhile(async () => {
      await sleep(2_000);
      await kubectl.apply(deployment);
      killed = performance.now();
      process.kill(await processOf(victim.metadata.uid), "SIGKILL");
      await kubectl.run(["rollout", "status", "deployment/shop", "-n", SHOP, "--timeout=180s"]);
    });
    const last = Math.max(killed, ...result.failedAt) - killed;
    progress(
      `${result.failures.length} failed, the last ${last.toFixed(0)} ms after the kill: ${result.failures[0] ?? ""}`,
    );
    assert.ok(result.failedAt.every(at => at >= killed));
    assert.ok(last < LOSS_MS, `${last} ms`);
    const { items } = await kubectl.get<Manifest>("pods", "-n", SHOP, "-l", "app=shop");
    assert.equal(items.length, deployment.spec.replicas);
    for (const { metadata } of items) assert.equal(metadata.labels["wasmount.dev/injected"], "true");
  });

  it("is led again after that, and tells what became of new pods", async () => {
    const { kubectl } = stage;
    await until("a leader", async () => {
      const leader = await leaderOf();
      return (await replicas(kubectl)).some(({ metadata }) => metadata.name === leader);
    });
    const { items } = await kubectl.get<Manifest>("pods", "-n", SHOP, "-l", "app=shop");
    const [{ metadata }] = items;
    await until("an Event", async () => {
      const field = `reason=FilterMounted,involvedObject.name=${metadata.name}`;
      const events = await kubectl.get<Manifest>("events", "-n", SHOP, "--field-selector", field);
      return events.items.length > 0;
    });
  });

  /** The pod that holds the Lease; its identity begins with its host's name. */
  async function leaderOf(): Promise<string> {
    const { spec } = await stage.kubectl.get<Manifest>("lease", "wasmount-controller", ...inOwn);
    return String(spec.holderIdentity).split("_")[0] ?? "";
  }

  /** When each replica's serving certificate ends, to the second. */
  async function servedSerials(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const { status } of await replicas(stage.kubectl)) {
      const text = await (await fetch(`http://${status.podIP}:8080/metrics`)).text();
      const [, end] = /^wasmount_certificate_expiry_timestamp_seconds\{kind="serving"\} (.+)$/m.exec(text) ?? [];
      if (end !== undefined) found.push(end);
    }
    return found;
  }

  async function until(what: string, look: () => Promise<boolean>): Promise<void> {
    const end = performance.now() + 180_000;
    while (!(await look().catch(() => false))) {
      assert.ok(performance.now() < end, `waited 180 s for ${what}`);
      await sleep(500);
    }
  }
});

/** The process of the only container of a pod on this machine's node, beside the pod's own. */
async function processOf(uid: string): Promise<number> {
  const group = new RegExp(`pod${uid.replaceAll("-", "[-_]")}`);
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const [cgroup, command] = await Promise.all(
      ["cgroup", "cmdline"].map(file => readFile(`/proc/${name}/${file}`, "utf8").catch(() => "")),
    );
    if (group.test(cgroup ?? "") && command?.includes("wasmount.mjs")) return Number(name);
  }
  return assert.fail(`no process of pod ${uid}`);
}

function deploymentOf({ metadata, spec }: Manifest): Manifest {
  const { labels, annotations } = metadata;
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "shop", namespace: SHOP },
    spec: {
      replicas: 4,
      selector: { matchLabels: { app: "shop" } },
      template: { metadata: { labels: { ...labels, app: "shop" }, annotations }, spec },
    },
  };
}
