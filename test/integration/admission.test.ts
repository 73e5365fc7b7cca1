import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import type { Pod } from "../../src/kube/pod.ts";
import { clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { exampleManifest } from "../environment/example.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { registerWebhook } from "../environment/registration.ts";
import { unavailable } from "../environment/requirement.ts";
import { reviewPod } from "../environment/review.ts";
import type { Manifest } from "../environment/stage.ts";
import { until } from "../environment/until.ts";
import { startWebhookProcess, type WebhookProcess } from "../environment/webhook-process.ts";

const NAMESPACE = "integration-admission";
/** Nothing is switched on here. */
const ELSEWHERE = "default";

describe("admission by a real API server", function () {
  this.timeout(15 * 60_000);
  let folder: string;
  let kubectl: Kubectl;
  let webhook: WebhookProcess;
  let unregister: () => Promise<void>;
  let pod: Manifest;

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    const cluster = await openCluster({ node: false, progress: line => console.log(`      ${line}`) });
    kubectl = new Kubectl(cluster);
    folder = await mkdtemp(join(tmpdir(), "wasmount-admission-"));
    webhook = await startWebhookProcess({
      folder,
      namespaces: ["--kubeconfig", cluster.kubeconfigPath],
      config: { fetcher: { image: "registry.example/wasmount:1" } },
    });
    unregister = await registerWebhook(cluster.kubeConfig, {
      ...webhook,
      name: NAMESPACE,
      namespaces: [NAMESPACE, ELSEWHERE],
    });
    const namespace = parse(await exampleManifest("namespace")) as Manifest;
    namespace.metadata.name = NAMESPACE;
    await kubectl.run(["delete", "namespace", NAMESPACE, "--ignore-not-found"]);
    await kubectl.apply(namespace);
    const account = () => kubectl.get("serviceaccount", "default", "-n", NAMESPACE);
    await until("the default ServiceAccount", account, { seconds: 20 });
    pod = parse(await exampleManifest("pod"));
    pod.metadata.namespace = NAMESPACE;
    pod.metadata.annotations["wasmount.dev/module.headers"] = `registry.example/headers@sha256:${"a".repeat(64)}`;
  });

  after(async () => {
    await unregister?.();
    await webhook?.stop();
    await kubectl?.run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"]);
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  async function created(manifest: Manifest): Promise<Pod> {
    return JSON.parse(
      await kubectl.run(["create", "--dry-run=server", "-f", "-", "-o", "json"], JSON.stringify(manifest)),
    ) as Pod;
  }

  it("finds nothing left to do in what the API server made of the first pass, defaults and all", async () => {
    const implicit = structuredClone(pod);
    implicit.spec.containers[1].args = undefined;
    for (const manifest of [pod, implicit]) {
      const stored = await created(manifest);
      assert.equal(stored.spec.initContainers?.[0]?.name, "wasmount-fetch");
      const second = await reviewPod(webhook.url, webhook.ca, stored, NAMESPACE);
      assert.equal(second.auditAnnotations["decision"], "Injected");
      assert.equal(second.patch, undefined);
    }
  });

  it("leaves a LimitRange what it adds to the fetcher, and stays within it", async () => {
    const item = {
      type: "Container",
      default: { "ephemeral-storage": "1Gi" },
      defaultRequest: { "ephemeral-storage": "1Mi" },
      max: { "ephemeral-storage": "2Gi" },
    };
    await kubectl.apply({
      apiVersion: "v1",
      kind: "LimitRange",
      metadata: { name: "limits", namespace: NAMESPACE },
      spec: { limits: [item] },
    });
    try {
      const fetcher = (await created(pod)).spec.initContainers?.[0];
      assert.equal(fetcher?.resources?.limits?.["ephemeral-storage"], "1Gi");
      assert.equal(fetcher?.resources?.limits?.["memory"], "256Mi");
    } finally {
      await kubectl.run(["delete", "limitrange", "limits", "-n", NAMESPACE]);
    }
  });

  it("refuses a pod whose other containers mount the volume, before the API server stores it", async () => {
    const greedy = structuredClone(pod);
    greedy.spec.containers[0].volumeMounts = [{ name: "wasmount", mountPath: "/data" }];
    await assert.rejects(created(greedy), {
      message: /wasmount: NameReserved: .*Container app mounts volume wasmount at \/data/,
    });
  });

  it("counts a namespace's annotations that were written a moment ago", async () => {
    await kubectl.run([
      "annotate",
      "namespace",
      NAMESPACE,
      `wasmount.dev/module.extra=registry.example/extra@sha256:${"b".repeat(64)}`,
    ]);
    const stored = await created(pod);
    const status = JSON.parse(stored.metadata.annotations?.["wasmount.dev/status"] ?? "{}");
    assert.deepEqual(
      status.filters.map(({ name }: { name: string }) => name),
      ["extra", "headers"],
    );
    await kubectl.run(["annotate", "namespace", NAMESPACE, "wasmount.dev/module.extra-"]);
    const without = JSON.parse((await created(pod)).metadata.annotations?.["wasmount.dev/status"] ?? "{}");
    assert.equal(without.filters.length, 1);
  });

  it("leaves pods alone that are not switched on, whatever their annotations", async () => {
    const elsewhere = structuredClone(pod);
    elsewhere.metadata.namespace = ELSEWHERE;
    assert.equal((await created(elsewhere)).spec.initContainers, undefined);
  });

  it("injects into a pod whose own label switches it on", async () => {
    const elsewhere = structuredClone(pod);
    elsewhere.metadata.namespace = ELSEWHERE;
    elsewhere.metadata.labels = { "wasmount.dev/inject": "true" };
    assert.equal((await created(elsewhere)).spec.initContainers?.[0]?.name, "wasmount-fetch");
  });

  it("denies in words that kubectl shows whole", async () => {
    const wrong = structuredClone(pod);
    wrong.metadata.annotations["wasmount.dev/phase.headers"] = "middle";
    await assert.rejects(created(wrong), {
      message:
        /denied the request: wasmount: BadValue: An annotation's value is not one that its key allows\. Annotation wasmount\.dev\/phase\.headers="middle" on the pod: allowed are "first", "last" \(the default\)/,
    });
  });
});
