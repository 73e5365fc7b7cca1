import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";
import { type Credentials, createAuthority, issueServerCertificate } from "../../src/certs/authority.ts";
import { type Cluster, clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { exampleManifest } from "../environment/example.ts";
import { bundledEntry } from "../environment/fetcher-process.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { makeNamespace } from "../environment/namespace.ts";
import { createPods, type LoadResult } from "../environment/pod-load.ts";
import { registerWebhook } from "../environment/registration.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";
import { type Backend, TcpBalancer } from "../environment/tcp-balancer.ts";
import { until } from "../environment/until.ts";
import { startWebhookProcess, type WebhookProcess } from "../environment/webhook-process.ts";

const NAMESPACE = "integration-replicas";
const COUNT = 10_000;
const WIDTH = 16;

interface Replica {
  readonly process: WebhookProcess;
  readonly backend: Backend;
}

describe("two replicas behind one address, as images run them, while pods are created all the time,", function () {
  this.timeout(20 * 60_000);
  let folder: string;
  let cluster: Cluster;
  let kubectl: Kubectl;
  let balancer: TcpBalancer;
  let authority: Credentials;
  let replicas: Replica[];
  let unregister: (() => Promise<void>) | undefined;
  let pod: Manifest;
  let signingKeyFile: string;
  let entry: string;
  let started = 0;

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    cluster = await openCluster({ node: false, progress: line => console.log(`      ${line}`) });
    kubectl = new Kubectl(cluster);
    folder = await mkdtemp(join(tmpdir(), "wasmount-replicas-"));
    entry = await bundledEntry(folder);
    await makeNamespace(kubectl, NAMESPACE, { labels: { "wasmount.dev/inject": "true" } });
    signingKeyFile = join(folder, "plans.pem");
    const { privateKey } = generateKeyPairSync("ed25519");
    await writeFile(signingKeyFile, privateKey.export({ type: "pkcs8", format: "pem" }));
    authority = await createAuthority("replicas CA", 7, new Date());
    balancer = new TcpBalancer();
    const port = await balancer.listen();
    replicas = [await start(), await start()];
    const address = { url: `https://127.0.0.1:${port}/`, ca: authority.certificate };
    unregister = await registerWebhook(cluster.kubeConfig, { ...address, name: NAMESPACE, namespaces: [NAMESPACE] });
    pod = parse(await exampleManifest("pod"));
    delete pod.metadata.namespace;
    pod.metadata.annotations["wasmount.dev/module.headers"] = `registry.example/headers@sha256:${"a".repeat(64)}`;
  });

  after(async () => {
    await unregister?.();
    await balancer?.close();
    for (const { process } of replicas ?? []) await process.stop();
    await kubectl?.run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"]);
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  async function start(): Promise<Replica> {
    started += 1;
    const process = await startWebhookProcess({
      folder: join(folder, `replica-${started}`),
      authority,
      entry,
      namespaces: ["--kubeconfig", cluster.kubeconfigPath],
      config: {
        // Longer than the balancer takes to notice.
        listen: { address: "127.0.0.1", port: 0, plainPort: 0, drainSeconds: 2, lingerSeconds: 10 },
        fetcher: { image: "registry.example/wasmount:1" },
        plan: { signingKeyFile },
        log: { level: "warn" },
      },
    });
    const isReady = async () => (await fetch(`${process.plainUrl}/readyz`)).ok;
    await until("the replica to be ready", isReady, { pauseMs: 50, bears: () => false });
    const backend = { port: Number(new URL(process.url).port), readyUrl: `${process.plainUrl}/readyz` };
    balancer.add(backend);
    return { process, backend };
  }

  /** Creates pods, and does something else to the replicas at certain parts of the way. */
  async function meanwhile(count: number, ...steps: (() => Promise<unknown>)[]): Promise<LoadResult> {
    const marks = steps.map((_, index) => Math.round((count * (index + 1)) / (steps.length + 2)));
    const running: Promise<unknown>[] = [];
    const result = await createPods(cluster.kubeConfig, {
      namespace: NAMESPACE,
      pod,
      count,
      width: WIDTH,
      holds: '"name":"wasmount-fetch"',
      progress(ended) {
        const step = marks.indexOf(ended);
        // One after the other, however slow they are.
        if (step >= 0) running.push((running.at(-1) ?? Promise.resolve()).then(steps[step]));
      },
    });
    await Promise.all(running);
    assert.equal(running.length, steps.length);
    return result;
  }

  async function terminateAndRestart(): Promise<void> {
    const [oldest, ...rest] = replicas as [Replica, ...Replica[]];
    assert.equal(await oldest.process.stop(), 0);
    balancer.remove(oldest.backend);
    replicas = [...rest, await start()];
  }

  async function replaceCertificates(): Promise<void> {
    for (const { process } of replicas) {
      const { certificate, privateKey } = await issueServerCertificate(authority, ["127.0.0.1"], 7, new Date());
      for (const [file, text] of [
        [process.files.certFile, certificate],
        [process.files.keyFile, privateKey],
      ] as const) {
        await writeFile(`${file}.new`, text);
        await rename(`${file}.new`, file);
      }
    }
    // They look every five seconds.
    await sleep(6_000);
  }

  async function trust(...authorities: readonly Credentials[]): Promise<void> {
    const bundle = authorities.map(({ certificate }) => certificate).join("");
    for (const kind of ["mutatingwebhookconfiguration", "validatingwebhookconfiguration"]) {
      const { webhooks } = await kubectl.get<Manifest>(kind, NAMESPACE);
      const patch = webhooks.map((_: unknown, index: number) => ({
        op: "replace",
        path: `/webhooks/${index}/clientConfig/caBundle`,
        value: Buffer.from(bundle).toString("base64"),
      }));
      await kubectl.run(["patch", kind, NAMESPACE, "--type=json", "-p", JSON.stringify(patch)]);
    }
    // The API server learns of it from a watch of its own.
    await sleep(2_000);
  }

  it("lose none of them when each is terminated and replaced", async () => {
    const result = await meanwhile(COUNT, terminateAndRestart, terminateAndRestart, terminateAndRestart);
    assertAllCreated(result);
  });

  it("lose none of them when certificates change, the authority included", async () => {
    const old = authority;
    const next = await createAuthority("replicas CA, the next one", 7, new Date());
    const result = await meanwhile(
      COUNT,
      replaceCertificates,
      () => trust(old, next),
      async () => {
        authority = next;
        await replaceCertificates();
      },
      () => trust(next),
    );
    assertAllCreated(result);
  });

  function assertAllCreated({ created, failures, without }: LoadResult): void {
    const found = { created, without, failed: failures.length, first: failures[0] };
    assert.deepEqual(found, { created: COUNT, without: 0, failed: 0, first: undefined });
  }

  it("lose, when one is killed, no more than its calls in flight, and let none by without filters", async () => {
    const count = 2_000;
    const result = await meanwhile(count, async () => {
      const [oldest, ...rest] = replicas as [Replica, ...Replica[]];
      await oldest.process.kill();
      replicas = [...rest, await start()];
      balancer.remove(oldest.backend);
    });
    console.log(`      ${result.failures.length} of ${count} failed, with ${WIDTH} in flight`);
    for (const failure of result.failures) assert.match(failure, /failed calling webhook/);
    // A creation has one call under way at a time. Until the probe fails, new connections may still be led astray.
    assert.ok(result.failures.length <= 4 * WIDTH, `${result.failures.length} failures: ${result.failures[0]}`);
    assert.deepEqual([result.created + result.failures.length, result.without], [count, 0]);
  });
});
