import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import type { Pod } from "../../src/kube/pod.ts";
import { RegistryClient } from "../../src/oci/client.ts";
import { moduleImage } from "../../src/oci/module-image.ts";
import { pushModule } from "../../src/oci/push-module.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { type Cluster, clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { exampleManifest } from "../environment/example.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { makeNamespace } from "../environment/namespace.ts";
import { registerWebhook } from "../environment/registration.ts";
import { type Registry, startRegistry } from "../environment/registry/registry.ts";
import { unavailable } from "../environment/requirement.ts";
import { reviewPod } from "../environment/review.ts";
import { type ServiceAccount, webhookAccount } from "../environment/service-account.ts";
import type { Manifest } from "../environment/stage.ts";
import { type Look, until } from "../environment/until.ts";
import { startWebhookProcess, type WebhookProcess } from "../environment/webhook-process.ts";
import { MODULE } from "../oci/images.ts";

const NAMESPACE = "integration-workloads";
const OWN = "integration-workloads-system";
const NODE = "integration-workloads";

interface Event {
  readonly reason: string;
  readonly note: string;
  readonly type: string;
  readonly reportingController: string;
  readonly regarding: { readonly kind: string; readonly name: string };
  readonly series?: { readonly count: number };
}

describe("workloads whose pods controllers create, with the webhook's own rights and signed plans", function () {
  this.timeout(15 * 60_000);
  let folder: string;
  let cluster: Cluster;
  let kubectl: Kubectl;
  let account: ServiceAccount;
  let registry: Registry;
  let client: RegistryClient;
  let replicas: readonly WebhookProcess[];
  let unregister: (() => Promise<void>) | undefined;
  let template: Manifest;

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    cluster = await openCluster({ node: false, progress: line => console.log(`      ${line}`) });
    kubectl = new Kubectl(cluster);
    folder = await mkdtemp(join(tmpdir(), "wasmount-workloads-"));
    account = await webhookAccount(cluster, OWN, folder);
    await makeNamespace(kubectl, NAMESPACE, { labels: { "wasmount.dev/inject": "true" } });
    registry = await startRegistry();
    const registries = [{ host: registry.address, plainHttp: true }];
    client = new RegistryClient({ registries });
    const signingKeyFile = join(folder, "plans.pem");
    const { privateKey } = generateKeyPairSync("ed25519");
    await writeFile(signingKeyFile, privateKey.export({ type: "pkcs8", format: "pem" }));
    const start = (name: string) =>
      startWebhookProcess({
        folder: join(folder, name),
        namespaces: ["--kubeconfig", account.kubeconfigPath],
        config: {
          fetcher: { image: "registry.example/wasmount:1" },
          plan: { signingKeyFile },
          pins: { namespace: OWN },
          registries,
          limits: { resolveSeconds: 4 },
        },
      });
    replicas = await Promise.all(["one", "two"].map(start));
    const { metadata, spec } = parse(await exampleManifest("pod")) as Manifest;
    template = { metadata: { labels: { app: "shop" }, annotations: metadata.annotations }, spec };
    template.metadata.annotations["wasmount.dev/module.headers"] = `${registry.address}/filters/a:1`;
    // A DaemonSet has a pod for each node, whether or not a kubelet runs it. Others are not scheduled to this one.
    await kubectl.apply({ apiVersion: "v1", kind: "Node", metadata: { name: NODE }, spec: { unschedulable: true } });
  });

  after(async () => {
    await unregister?.();
    for (const replica of replicas ?? []) await replica.stop();
    client?.close();
    await registry?.close();
    await account?.remove();
    await kubectl?.run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"]);
    await kubectl?.run(["delete", "node", NODE, "--ignore-not-found"]);
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  /** Makes the API server call one of the replicas. */
  async function call(replica: number): Promise<WebhookProcess> {
    const webhook = replicas[replica] ?? assert.fail("no such replica");
    unregister = await registerWebhook(cluster.kubeConfig, { ...webhook, name: NAMESPACE, namespaces: [NAMESPACE] });
    return webhook;
  }

  /** Moves the tag to another image. @returns its digest */
  async function moveTag(name: string): Promise<string> {
    const image = await moduleImage({ module: MODULE, name, layout: "cncf" });
    return (await pushModule(client, parseReference(`${registry.address}/filters/a:1`), image)).digest;
  }

  function workload(kind: string, name: string, changes: object = {}): Manifest {
    const labels = { app: name };
    const pod = structuredClone(template);
    Object.assign(pod.metadata, { labels });
    return {
      apiVersion: "apps/v1",
      kind,
      metadata: { name, namespace: NAMESPACE },
      spec: { replicas: 1, selector: { matchLabels: labels }, template: pod, ...changes },
    };
  }

  async function pods(name: string): Promise<Pod[]> {
    const { items } = await kubectl.get<{ items: Pod[] }>("pods", "-n", NAMESPACE, "-l", `app=${name}`);
    return items;
  }

  function digestsOf(found: readonly Pod[]): string[] {
    return found.map(
      ({ metadata }) =>
        /@(sha256:[0-9a-f]{64})/.exec(metadata.annotations?.["wasmount.dev/status"] ?? "")?.[1] ?? "none",
    );
  }

  function eventually<Value>(what: string, look: Look<Value>): Promise<Value> {
    return until(what, look, { seconds: 60, bears: () => false });
  }

  async function eventsOf(reason: string): Promise<Event[]> {
    const { items } = await kubectl.get<{ items: Event[] }>("events.events.k8s.io", "-n", NAMESPACE);
    return items.filter(event => event.reportingController === "wasmount.dev/webhook" && event.reason === reason);
  }

  it("get one digest for all pods of a ReplicaSet, whichever replica decides and wherever the tag has moved", async () => {
    await call(0);
    const first = await moveTag("first");
    await kubectl.apply(workload("Deployment", "shop"));
    await eventually("the first pod", async () => (await pods("shop")).length === 1);
    const second = await moveTag("second");
    assert.notEqual(second, first);
    await call(1);
    await kubectl.run(["scale", "deployment/shop", "-n", NAMESPACE, "--replicas=3"]);
    const scaled = await eventually("three pods", async () => {
      const found = await pods("shop");
      return found.length === 3 && found;
    });
    assert.deepEqual(digestsOf(scaled), [first, first, first]);
  });

  for (const kind of ["Deployment", "StatefulSet", "DaemonSet"]) {
    it(`get another digest with the next rollout of a ${kind}`, async () => {
      await call(0);
      const name = `next-${kind.toLowerCase()}`;
      const before = await moveTag(`${name}-1`);
      const changes = kind === "DaemonSet" ? { replicas: undefined } : {};
      await kubectl.apply(JSON.parse(JSON.stringify(workload(kind, name, changes))));
      const first = await eventually("the first pod", async () => {
        const found = await pods(name);
        return found.length > 0 && found;
      });
      assert.deepEqual(new Set(digestsOf(first)), new Set([before]));
      const after = await moveTag(`${name}-2`);
      await kubectl.run(["rollout", "restart", `${kind}/${name}`, "-n", NAMESPACE]);
      // Nothing here gets ready, which some rollouts would wait for.
      await eventually("a pod of the next rollout", async () => {
        await kubectl.run(["delete", "pods", "-n", NAMESPACE, "-l", `app=${name}`, "--grace-period=0", "--force"]);
        return digestsOf(await pods(name)).includes(after);
      });
    });
  }

  it("that are denied say so in one Event on their ReplicaSet, however often it tries", async () => {
    const webhook = await call(0);
    const misspelt = workload("Deployment", "misspelt");
    misspelt.spec.template.metadata.annotations["wasmount.dev/modul.headers"] = "x";
    await kubectl.apply(misspelt);
    const [event] = await eventually("an Event", async () => {
      const found = await eventsOf("UnknownKey");
      return found.length > 0 && found;
    });
    assert.equal(event?.type, "Warning");
    assert.equal(event?.regarding.kind, "ReplicaSet");
    assert.match(event?.regarding.name ?? "", /^misspelt-/);
    assert.match(event?.note ?? "", /^wasmount: UnknownKey: .*did you mean wasmount\.dev\/module\.headers\?$/);
    const replicaSets = await kubectl.get<{ items: Manifest[] }>("replicasets", "-n", NAMESPACE, "-l", "app=misspelt");
    const { name, uid } = replicaSets.items[0].metadata;
    const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", name, uid, controller: true };
    const { metadata, spec } = misspelt.spec.template;
    const looping = { metadata: { ...metadata, generateName: "misspelt-", ownerReferences: [owner] }, spec } as Pod;
    // As a controller that tries without end, which takes a real one an hour.
    for (let tries = 0; tries < 500; tries += 1) {
      const { allowed } = await reviewPod(webhook.url, webhook.ca, looping, NAMESPACE);
      assert.equal(allowed, false);
    }
    await eventually("a count", async () => ((await eventsOf("UnknownKey"))[0]?.series?.count ?? 0) > 500);
    assert.equal((await eventsOf("UnknownKey")).length, 1);
  });

  it("are told of on the namespace where a pod has no owner, and not at all on a dry run", async () => {
    await call(0);
    const pod = { apiVersion: "v1", kind: "Pod", ...structuredClone(template) };
    Object.assign(pod.metadata, { name: "alone", namespace: NAMESPACE });
    pod.metadata.annotations["wasmount.dev/phase.headers"] = "dry";
    await assert.rejects(kubectl.run(["create", "--dry-run=server", "-f", "-"], JSON.stringify(pod)), /BadValue/);
    pod.metadata.annotations["wasmount.dev/phase.headers"] = "wet";
    await assert.rejects(kubectl.run(["create", "-f", "-"], JSON.stringify(pod)), /BadValue/);
    const [event, ...more] = await eventually("an Event", async () => {
      const found = await eventsOf("BadValue");
      return found.length > 0 && found;
    });
    assert.deepEqual(more, []);
    assert.match(event?.note ?? "", /"wet"/);
    assert.deepEqual([event?.regarding.kind, event?.regarding.name], ["Namespace", NAMESPACE]);
  });

  it("are refused nothing by the API server", async () => {
    const logs = replicas.map(({ log }) => log()).join("");
    assert.doesNotMatch(logs, /Forbidden|HTTP 403/i);
    for (const { plainUrl } of replicas) {
      const text = await (await fetch(`${plainUrl}/metrics`)).text();
      assert.doesNotMatch(text, /wasmount_events_dropped_total\{reason="Refused"\}/);
      for (const cache of ["namespaces", "limitranges", "pods"]) {
        assert.match(text, new RegExp(`wasmount_cache_synced\\{cache="${cache}"\\} 1`));
      }
    }
  });
});
