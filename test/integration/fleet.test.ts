import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { KubeConfig } from "@kubernetes/client-node";
import { parse } from "yaml";
import { PREFIX } from "../../src/admission/key.ts";
import { planFromEnvironment } from "../../src/plan/transport.ts";
import { type Cluster, clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { exampleManifest } from "../environment/example.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { makeNamespace } from "../environment/namespace.ts";
import { registerWebhook } from "../environment/registration.ts";
import { unavailable } from "../environment/requirement.ts";
import { type ServiceAccount, webhookAccount } from "../environment/service-account.ts";
import type { Manifest } from "../environment/stage.ts";
import { startTcpProxy, type TcpProxy } from "../environment/tcp-proxy.ts";
import { type Look, until } from "../environment/until.ts";
import { startWebhookProcess, type WebhookProcess } from "../environment/webhook-process.ts";

const OWN = "integration-fleet-system";
const NAMESPACE = "integration-fleet";
const LEASE = "wasmount-controller";
const IMAGE = `registry.example/headers@sha256:${"a".repeat(64)}`;

describe("what becomes of fetchers, by a real API server,", function () {
  this.timeout(15 * 60_000);
  let folder: string;
  let kubectl: Kubectl;
  let cluster: Cluster;
  let account: ServiceAccount;
  let proxy: TcpProxy;
  let replicas: WebhookProcess[];
  let unregister: (() => Promise<void>) | undefined;
  let pod: Manifest;

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    cluster = await openCluster({ node: false, progress: line => console.log(`      ${line}`) });
    kubectl = new Kubectl(cluster);
    folder = await mkdtemp(join(tmpdir(), "wasmount-fleet-"));
    const { privateKey } = generateKeyPairSync("ed25519");
    await writeFile(join(folder, "plan.key"), privateKey.export({ type: "pkcs8", format: "pem" }));
    account = await webhookAccount(cluster, OWN, folder);
    await makeNamespace(kubectl, NAMESPACE, { labels: { [`${PREFIX}inject`]: "true" } });
    // One of the replicas reaches the API server through this.
    const server = cluster.kubeConfig.getCurrentCluster()?.server ?? "";
    proxy = await startTcpProxy(new URL(server));
    const through = new KubeConfig();
    through.loadFromFile(account.kubeconfigPath);
    const text = through.exportConfig().replaceAll(server, `https://127.0.0.1:${proxy.port}`);
    await writeFile(join(folder, "through.kubeconfig"), text, { mode: 0o600 });
    replicas = [];
    pod = parse(await exampleManifest("pod")) as Manifest;
  });

  after(async () => {
    await unregister?.();
    for (const replica of replicas ?? []) await replica.stop();
    proxy?.close();
    await account?.remove();
    await kubectl?.run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"]);
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  async function start(name: string, kubeconfig = account.kubeconfigPath): Promise<WebhookProcess> {
    const replica = await startWebhookProcess({
      folder: join(folder, name),
      namespaces: ["--kubeconfig", kubeconfig],
      config: {
        fetcher: { image: "registry.example/wasmount:1" },
        pins: { namespace: OWN },
        plan: { signingKeyFile: join(folder, "plan.key") },
      },
    });
    replicas.push(replica);
    return replica;
  }

  /** As {@link until}, and says what the replicas said. */
  function eventually<Value>(what: string, look: Look<Value>): Promise<Value> {
    return until(() => `${what}\n${replicas.map(({ log }) => log()).join("\n")}`, look, { seconds: 60 });
  }

  async function metric(replica: WebhookProcess, name: string): Promise<number | null> {
    const text = await fetch(`${replica.plainUrl}/metrics`).then(response => response.text());
    const line = text.split("\n").find(one => one.startsWith(`${name} `));
    return line === undefined ? null : Number(line.split(" ")[1]);
  }

  const leads = async (replica: WebhookProcess) => (await metric(replica, "wasmount_leader")) === 1;
  const filters = (replica: WebhookProcess, state: string) =>
    metric(replica, `wasmount_fleet_filters{state="${state}"}`);

  async function create(name: string, changes: (made: Manifest) => void = () => {}): Promise<Manifest> {
    const made = structuredClone(pod);
    made.metadata = { name, namespace: NAMESPACE, annotations: { [`${PREFIX}module.headers`]: IMAGE } };
    // No node takes it: what a kubelet would write of it, the test does.
    made.spec.nodeSelector = { "fleet.test/node": "none" };
    changes(made);
    return JSON.parse(await kubectl.run(["create", "-f", "-", "-o", "json"], JSON.stringify(made)));
  }

  /** Writes what a kubelet says of the fetcher. */
  async function report(name: string, fetcher: object): Promise<void> {
    const status = {
      name: "wasmount-fetch",
      image: "registry.example/wasmount:1",
      imageID: "",
      ready: false,
      restartCount: 0,
      ...fetcher,
    };
    const patch = JSON.stringify({ status: { initContainerStatuses: [status] } });
    await kubectl.run(["patch", "pod", name, "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p", patch]);
  }

  const ended = (exitCode: number, message: string, finishedAt = new Date()) => ({
    terminated: {
      exitCode,
      message,
      reason: exitCode === 0 ? "Completed" : "Error",
      startedAt: finishedAt.toISOString().replace(/\.\d+Z/, "Z"),
      finishedAt: finishedAt.toISOString().replace(/\.\d+Z/, "Z"),
    },
  });

  async function events(name: string): Promise<Manifest[]> {
    const { items } = await kubectl.get<{ items: Manifest[] }>(
      "events.events.k8s.io",
      "-n",
      NAMESPACE,
      "--field-selector",
      `regarding.name=${name}`,
    );
    return items.filter(({ reportingController }) => reportingController === "wasmount.dev/controller");
  }

  it("is known to the one replica that leads, and to no other", async () => {
    const [first, second] = [await start("first"), await start("second", join(folder, "through.kubeconfig"))];
    await eventually("a leader", () => leads(first));
    const { metadata, spec } = await kubectl.get<Manifest>("lease", LEASE, "-n", OWN);
    assert.match(spec.holderIdentity, /_[0-9a-f]{16}$/);
    assert.equal(metadata.name, LEASE);
    await eventually("the list of pods", async () => (await filters(first, "wanted")) === 0);
    assert.equal(await metric(second, "wasmount_leader"), 0);
    assert.equal(await filters(second, "wanted"), null);
    const registered = { ...first, name: NAMESPACE, namespaces: [NAMESPACE] };
    unregister = await registerWebhook(cluster.kubeConfig, registered);
  });

  it("is told of a good one: counted, and in one Event with digests, bytes and seconds", async () => {
    const [leader] = replicas as [WebhookProcess];
    const made = await create("good");
    const variables = made.spec.initContainers[0].env.map(({ name, value }: Manifest) => [name, value]);
    const { plan } = planFromEnvironment(Object.fromEntries(variables));
    assert.equal(IMAGE.split("@")[1], plan.filters[0]?.digest);
    await eventually("a pending filter", async () => (await filters(leader, "pending")) === 1);
    const modules = [{ filters: ["headers"], digest: plan.filters[0]?.digest, source: "registry" }];
    const summary = JSON.stringify({ summary: "wasmount-fetch", bytes: 4711, seconds: 0.25, modules });
    await report("good", { ready: true, state: ended(0, summary) });
    const [event] = await eventually("an Event", async () => {
      const found = await events("good");
      return found.length > 0 && found;
    });
    assert.deepEqual([event?.type, event?.reason, event?.action], ["Normal", "FilterMounted", "Mount"]);
    assert.equal(event?.note, `1 filter (4711 bytes in 0.25 s): headers@sha256:${"a".repeat(64)}`);
    assert.equal(event?.regarding.uid, made.metadata.uid);
    assert.equal(event?.reportingController, "wasmount.dev/controller");
    assert.deepEqual(
      await Promise.all(["wanted", "mounted", "pending"].map(state => filters(leader, state))),
      [1, 1, 0],
    );
    assert.equal(await metric(leader, 'wasmount_fetcher_terminations_total{outcome="Mounted"}'), 1);
  });

  it("is told of one that fails, again and again, in one Event that counts; and then of its success", async () => {
    const [leader] = replicas as [WebhookProcess];
    await create("bad");
    const message = "wasmount-fetch: ManifestUnknown: registry.example/headers@sha256:aaaa: no such manifest";
    await report("bad", { state: ended(3, `some log\n${message}`) });
    const [event] = await eventually("an Event", async () => {
      const found = await events("bad");
      return found.length > 0 && found;
    });
    assert.deepEqual([event?.type, event?.reason], ["Warning", "FilterFetchFailed"]);
    assert.equal(event?.note, "ManifestUnknown: registry.example/headers@sha256:aaaa: no such manifest (exit code 3)");
    const backOff = { waiting: { reason: "CrashLoopBackOff", message: "back-off 10s" } };
    await report("bad", { state: backOff, lastState: ended(3, message), restartCount: 1 });
    await eventually("a failed filter", async () => (await filters(leader, "failed")) === 1);
    await report("bad", { state: backOff, lastState: ended(3, message), restartCount: 4 });
    await eventually("a count of 4 failures", async () => {
      const [counted, another] = await events("bad");
      assert.equal(another, undefined);
      return counted?.series?.count === 4;
    });
    await report("bad", { ready: true, state: ended(0, ""), lastState: ended(3, message), restartCount: 5 });
    await eventually("both Events", async () => (await events("bad")).length === 2);
    assert.deepEqual(
      await Promise.all(["wanted", "mounted", "failed"].map(state => filters(leader, state))),
      [2, 2, 0],
    );
  });

  it("is not told of a fetcher that somebody made up: with no plan, or one that nobody signed", async () => {
    const [leader] = replicas as [WebhookProcess];
    await unregister?.();
    unregister = undefined;
    const forged = (plan: readonly object[]) => (made: Manifest) => {
      made.metadata.labels = { [`${PREFIX}injected`]: "true" };
      made.spec.initContainers = [{ name: "wasmount-fetch", image: "registry.example/evil:1", env: plan }];
      made.spec.containers = [{ name: "envoy", image: "registry.example/evil:1" }];
    };
    const good = await kubectl.get<Manifest>("pod", "good", "-n", NAMESPACE);
    const [, ...unsigned] = good.spec.initContainers[0].env.toReversed();
    assert.ok(unsigned.length >= 2);
    await create("none", forged([]));
    await create("unsigned", forged(unsigned));
    for (const name of ["none", "unsigned"]) await report(name, { state: ended(3, "wasmount-fetch: Evil: text") });
    await eventually("pods that nobody vouches for", async () => {
      return (await metric(leader, 'wasmount_fleet_pods{state="unverified"}')) === 2;
    });
    await create("last", forged([]));
    await eventually(
      "the last one",
      async () => (await metric(leader, 'wasmount_fleet_pods{state="unverified"}')) === 3,
    );
    assert.deepEqual([...(await events("none")), ...(await events("unsigned"))], []);
    assert.equal(await filters(leader, "wanted"), 2);
  });

  it("is known to another one once the leader is killed, which tells nothing a second time", async () => {
    const [first, second] = replicas as [WebhookProcess, WebhookProcess];
    const before = await Promise.all(["good", "bad"].map(events));
    await first.kill();
    replicas = [second];
    await eventually("another leader", () => leads(second));
    await eventually("its list", async () => (await filters(second, "wanted")) === 2);
    assert.equal(await metric(second, 'wasmount_fetcher_terminations_total{outcome="Mounted"}'), null);
    // It has told by now what it had to tell: of this one it does.
    await report("unsigned", { state: ended(4, "") });
    await sleep(2_000);
    assert.deepEqual(
      (await Promise.all(["good", "bad"].map(events))).map(list => list.map(({ metadata }) => metadata.uid)),
      before.map(list => list.map(({ metadata }) => metadata.uid)),
    );
    assert.doesNotMatch(second.log(), /internal error/);
  });

  it("comes back after a minute without the API server, and nothing else suffered", async () => {
    const [second] = replicas as [WebhookProcess];
    const third = await start("third");
    proxy.cut();
    await eventually("another leader", () => leads(third));
    await eventually("the one cut off to know", async () => !(await leads(second)));
    assert.equal(await filters(second, "wanted"), null);
    await sleep(45_000);
    proxy.mend();
    await eventually("it to be ready again", async () => (await fetch(`${second.plainUrl}/readyz`)).status === 200);
    assert.equal(await leads(third), true);
    // Ending, the leader lets go at once.
    assert.equal(await third.stop(), 0);
    replicas = [second];
    await eventually("the one that was cut off to lead", () => leads(second));
    await eventually("its list", async () => (await filters(second, "wanted")) === 2);
  });
});
