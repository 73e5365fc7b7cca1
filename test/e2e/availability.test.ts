import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import { buildahUnavailable } from "../environment/buildah.ts";
import { binaryOf } from "../environment/cluster/binaries.ts";
import { type Cluster, clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { serviceEndpoints } from "../environment/cluster/proxy-rules.ts";
import { stateFolder } from "../environment/cluster/settings.ts";
import { clusterStatus } from "../environment/cluster/status.ts";
import { reviveComponent } from "../environment/cluster/up.ts";
import { KubectlError } from "../environment/kubectl.ts";
import { podProcess } from "../environment/pod-process.ts";
import { type LoadSetting, loadText, type Meanwhile, meanwhile } from "../environment/release-load.ts";
import { RELEASE_NAMESPACE, type ReleaseStage, replicas, setReleaseStage } from "../environment/release-stage.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";
import { type Look, until } from "../environment/until.ts";

const SHOP = "e2e-availability";
const PLAIN = "e2e-availability-plain";
/**
 * A bound for what a kubelet (which looks once a second), a controller and kube-proxy (which writes once a second) take
 * to remove the endpoint of a replica that was killed, on a machine that is busy. bench/README.md has what they do take.
 */
const REMOVAL_MS = 10_000;
/** The longest that a call may have been under way: the registration's timeout. */
const IN_FLIGHT_MS = 5_000;
/** Replicas', for reviews. */
const PORT = 10_250;
const OUTAGE_MS = 60_000;
const FULL_SIZE = 4;

describe("a release of two replicas, under 200 admissions a second where the machine does as many,", function () {
  this.timeout(30 * 60_000);

  let cluster: Cluster;
  let stage: ReleaseStage;
  let setting: LoadSetting;
  const progress = (line: string) => console.log(`      ${line}`);
  const inOwn = ["-n", RELEASE_NAMESPACE];

  before(async function () {
    const reason = (await clusterUnavailable({ node: true })) ?? (await buildahUnavailable());
    if (reason !== null) unavailable(this, reason);
    cluster = await openCluster({ node: true, progress });
    const vegeta = await binaryOf("vegeta", progress);
    stage = await setReleaseStage(cluster, SHOP, progress);
    setting = { cluster, stage, vegeta, plain: PLAIN };
    await stage.kubectl.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: PLAIN } });
    await stage.release("install");
  });

  after(async () => {
    await stage?.kubectl.run(["delete", "namespace", PLAIN, "--ignore-not-found", "--wait=false"]);
    await stage?.strike();
  });

  /** Does something under load, after which two things hold whatever it is. */
  async function under(work: () => Promise<unknown>): Promise<Meanwhile> {
    const result = await meanwhile(setting, work);
    progress(loadText(result));
    const { created, reviewed, unrelated } = result;
    assert.deepEqual([created.unfiltered, reviewed.unfiltered], [0, 0], "pods that ask for a filter and get none");
    assert.deepEqual(unrelated.failures, [], "pods that have nothing to do with wasmount");
    return result;
  }

  function assertLossless({ created, reviewed }: Meanwhile): void {
    assert.deepEqual([created.failures, reviewed.failures], [[], []]);
  }

  const images = async () => (await replicas(stage.kubectl)).map(({ spec }) => spec.containers[0].image);

  /** Of all that is wasmount's, what neither a Deployment nor Helm makes anew each time. */
  async function lasting(): Promise<readonly string[]> {
    return (await stage.remaining()).filter(name => !/sh\.helm\.release|^pod\/|^replicaset/.test(name)).sort();
  }

  it("is upgraded to another image, and no call fails", async () => {
    const before = await lasting();
    assertLossless(await under(() => stage.release("upgrade", "--set-string", "image.tag=2")));
    assert.deepEqual(await images(), [stage.images.next, stage.images.next]);
    assert.deepEqual(await lasting(), before);
  });

  it("is rolled back, which leaves no orphan; only what replicas of the newer release still admit may wait for its controller", async () => {
    const before = await lasting();
    const result = await under(() =>
      stage.helm.run("rollback", "wasmount", "1", ...inOwn, "--wait", "--timeout", "5m"),
    );
    // Helm applies what it rendered earlier, and the guard knows the newer image no more: docs/install.md.
    for (const { message } of result.created.failures) assert.match(message, /wasmount-unfiltered-pods/);
    assert.deepEqual(result.reviewed.failures, []);
    assert.deepEqual(await images(), [stage.images.first, stage.images.first]);
    assert.deepEqual(await lasting(), before);
    assertLossless(await under(async () => {}));
  });

  it("changes to another authority, and to certificates of it, and no call fails", async () => {
    const { kubectl } = stage;
    const first = await authority();
    const work = async () => {
      await kubectl.run(["annotate", "secret", "wasmount-webhook-ca", "wasmount.dev/rotate=now", ...inOwn]);
      await eventually("certificates of another authority", async () => {
        const now = await authority();
        const leaves = await Promise.all((await replicas(kubectl)).map(({ status }) => served(status.podIP)));
        const isNew = now.fingerprint256 !== first.fingerprint256;
        return isNew && leaves.length === 2 && leaves.every(leaf => leaf.verify(now.publicKey));
      });
      await sleep(2_000);
    };
    assertLossless(await under(work));
  });

  it("loses, when the leader is killed, calls until its endpoint is gone; a Deployment reaches full size meanwhile", async () => {
    const { kubectl } = stage;
    const before = await holder();
    const leading = ({ metadata }: Manifest) => before.startsWith(`${metadata.name}_`);
    const victim = (await replicas(kubectl)).find(leading) ?? assert.fail(before);
    const pid = await podProcess(victim.metadata.uid, "/app/wasmount.mjs");
    assert.ok((await endpoints()).includes(`${victim.status.podIP}:${PORT}`));
    let [killedAt, goneAt] = [0, 0];
    const { created, reviewed } = await under(async () => {
      await kubectl.apply(deployment(FULL_SIZE));
      killedAt = Date.now();
      process.kill(pid, "SIGKILL");
      goneAt = await endpointRemoved(victim);
      await kubectl.run(["rollout", "status", "deployment/shop", "-n", SHOP, "--timeout=180s"]);
    });
    for (const { message } of created.failures) assert.match(message, /failed calling webhook/);
    const failures = [...created.failures, ...reviewed.failures];
    const late = failures.filter(({ begunAt }) => begunAt < killedAt - IN_FLIGHT_MS || begunAt >= goneAt);
    const last = Math.max(0, ...failures.map(({ begunAt }) => begunAt - killedAt));
    const removal = goneAt - killedAt;
    progress(
      `${failures.length} failed, the last sent ${last} ms after the kill; endpoint removed after ${removal} ms`,
    );
    assert.deepEqual(late, [], `killed at ${killedAt}, endpoint removed at ${goneAt}`);
    assert.ok(removal < REMOVAL_MS, `the endpoint was removed after ${removal} ms`);
    assert.deepEqual((await shopPods()).map(isInjected), Array(FULL_SIZE).fill(true));
    const restarted = (await replicas(kubectl)).find(({ metadata }) => metadata.uid === victim.metadata.uid);
    assert.equal(restarted?.status.containerStatuses[0].restartCount, 1, "it was the right process");
    await eventually("another leader", async () => (await holder()) !== before && (await holder()) !== "");
  });

  it("tells of pods that are created after that what became of them", async () => {
    const known = new Set((await shopPods()).map(({ metadata }) => metadata.name));
    await scaledTo(FULL_SIZE + 1);
    const fresh = (await shopPods()).find(({ metadata }) => !known.has(metadata.name)) ?? assert.fail();
    await eventually("an Event", async () => {
      const selector = `reason=FilterMounted,involvedObject.name=${fresh.metadata.name}`;
      return (await events(selector)).length > 0;
    });
  });

  it("goes on as it was after an API server that was silent for a minute", async () => {
    const { kubectl } = stage;
    const restarts = async () =>
      (await replicas(kubectl)).map(({ metadata, status }) => [
        metadata.name,
        status.containerStatuses[0].restartCount,
      ]);
    const before = await restarts();
    const { pid } = (await clusterStatus()).components.find(({ name }) => name === "kube-apiserver") ?? assert.fail();
    if (pid === null) assert.fail("the API server does not run");
    process.kill(pid, "SIGSTOP");
    await sleep(OUTAGE_MS).finally(() => process.kill(pid, "SIGCONT"));
    const { created } = await under(() => scaledTo(FULL_SIZE + 2));
    // Replicas that the cluster's state is unknown to are no endpoints until they have it again.
    for (const { message } of created.failures) assert.match(message, /failed calling webhook/);
    assert.deepEqual((await shopPods()).map(isInjected), Array(FULL_SIZE + 2).fill(true));
    assert.deepEqual(await restarts(), before);
    assertLossless(await under(async () => {}));
  });

  it("goes on as it was where the store of Events is lost, and tells again once there is one", async () => {
    const name = "etcd-events";
    const { pid } = (await clusterStatus()).components.find(one => one.name === name) ?? assert.fail();
    if (pid === null) assert.fail("the store of Events does not run");
    await scaledTo(FULL_SIZE + 2);
    assert.notDeepEqual(await events(), [], "there is something to lose");
    const result = await under(async () => {
      process.kill(pid, "SIGKILL");
      try {
        // It may still be writing.
        await rm(stateFolder(name), { recursive: true, maxRetries: 10 });
        await scaledTo(FULL_SIZE + 3);
        await assert.rejects(events(), KubectlError);
      } finally {
        // No namespace could be deleted without it.
        await reviveComponent(name, progress);
      }
    });
    assertLossless(result);
    assert.deepEqual((await shopPods()).map(isInjected), Array(FULL_SIZE + 3).fill(true));
    // An API server refuses Events for a minute after that: recorders have to try for longer.
    await scaledTo(FULL_SIZE + 4);
    await eventually("an Event", async () => (await events("reason=FilterMounted")).length > 0);
  });

  const endpoints = () => serviceEndpoints(`${RELEASE_NAMESPACE}/wasmount-webhook`);

  /** Waits until no call goes to a replica that was killed. @returns when it was seen: milliseconds of the wall clock */
  async function endpointRemoved({ metadata, status }: Manifest): Promise<number> {
    const isBack = async () => {
      const now = (await replicas(stage.kubectl)).find(one => one.metadata.uid === metadata.uid);
      const { ready, restartCount } = now?.status.containerStatuses[0] ?? {};
      return ready && restartCount > 0;
    };
    let looks = 0;
    const look = async () => {
      if (!(await endpoints()).includes(`${status.podIP}:${PORT}`)) return true;
      // Between two writings of kube-proxy's it may have gone and come again. This costs more than to read rules.
      looks += 1;
      return looks % 20 === 0 && isBack();
    };
    await eventually("a Service without it", look, 50);
    return Date.now();
  }

  /** Brings a Deployment to a size, with all its pods ready. */
  async function scaledTo(size: number): Promise<void> {
    await stage.kubectl.apply(deployment(size));
    await stage.kubectl.run(["rollout", "status", "deployment/shop", "-n", SHOP, "--timeout=180s"]);
  }

  async function events(selector = ""): Promise<readonly Manifest[]> {
    return (await stage.kubectl.get<Manifest>("events", "-n", SHOP, "--field-selector", selector)).items;
  }

  function deployment(size: number): Manifest {
    const { metadata, spec } = stage.example.pod;
    const { labels, annotations } = metadata;
    return {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "shop", namespace: SHOP },
      spec: {
        replicas: size,
        selector: { matchLabels: { app: "shop" } },
        template: { metadata: { labels: { ...labels, app: "shop" }, annotations }, spec },
      },
    };
  }

  async function shopPods(): Promise<readonly Manifest[]> {
    return (await stage.kubectl.get<Manifest>("pods", "-n", SHOP, "-l", "app=shop")).items;
  }

  const isInjected = ({ metadata, spec }: Manifest): boolean =>
    metadata.labels["wasmount.dev/injected"] === "true" && spec.initContainers[0].name === "wasmount-fetch";

  /** Who leads: a pod's name, and what tells its processes apart. */
  async function holder(): Promise<string> {
    const { spec } = await stage.kubectl.get<Manifest>("lease", "wasmount-controller", ...inOwn);
    return spec.holderIdentity ?? "";
  }

  async function authority(): Promise<X509Certificate> {
    const { data } = await stage.kubectl.get<Manifest>("secret", "wasmount-webhook-ca", ...inOwn);
    return new X509Certificate(Buffer.from(data["tls.crt"], "base64"));
  }
});

/** The certificate that a replica serves to whoever trusts nobody. */
function served(host: string): Promise<X509Certificate> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: PORT, rejectUnauthorized: false }, () => {
      const certificate = socket.getPeerX509Certificate();
      socket.destroy();
      if (certificate) resolve(certificate);
      else reject(new Error("no certificate"));
    });
    socket.on("error", reject);
  });
}

/** As {@link until}, with patience for a machine of which a load takes all. */
function eventually<Value>(what: string, look: Look<Value>, pauseMs = 500): Promise<Value> {
  return until(what, look, { seconds: 180, pauseMs });
}
