import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { exampleManifest } from "../environment/example.ts";
import { type GuardedCluster, MODULE, namespaceOf, openGuarded } from "../environment/guarded-cluster.ts";
import { registerWebhook } from "../environment/registration.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";
import { type Look, until } from "../environment/until.ts";
import { startWebhookProcess, type WebhookProcess } from "../environment/webhook-process.ts";

const UNRELATED = "integration-webhook-down";
const FILTERED = `${UNRELATED}-filtered`;
const NODE = `${UNRELATED}-node`;
const KUBELET = [`--as=system:node:${NODE}`, "--as-group=system:nodes"];
const IMAGE = "registry.example/wasmount:1";

/**
 * The kubelet of this node is the test: it binds, runs and ends pods with a kubelet's rights, which the API server holds
 * to what a node may do (Node authorizer, NodeRestriction).
 */
describe("while the webhook is down", function () {
  this.timeout(15 * 60_000);
  let folder: string;
  let cluster: GuardedCluster | undefined;
  let kubectl: GuardedCluster["kubectl"];
  let webhook: WebhookProcess | undefined;
  let unregister: (() => Promise<void>) | undefined;
  let template: Manifest;
  let finishing: string;
  let staying: string;

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    folder = await mkdtemp(join(tmpdir(), "wasmount-down-"));
    const namespaces = [
      namespaceOf(UNRELATED, UNRELATED),
      namespaceOf(UNRELATED, FILTERED, { "wasmount.dev/inject": "true" }),
    ];
    cluster = await openGuarded(UNRELATED, namespaces, [IMAGE]);
    kubectl = cluster.kubectl;
    const { kubeConfig, kubeconfigPath } = await openCluster({ node: false });
    webhook = await startWebhookProcess({
      folder,
      namespaces: ["--kubeconfig", kubeconfigPath],
      config: { fetcher: { image: IMAGE } },
    });
    const called = { name: UNRELATED, namespaces: [UNRELATED, FILTERED] };
    unregister = await registerWebhook(kubeConfig, { ...webhook, ...called });
    // Nothing is scheduled to it but what this test binds.
    await kubectl.apply({ apiVersion: "v1", kind: "Node", metadata: { name: NODE }, spec: { unschedulable: true } });
    const { metadata, spec } = parse(await exampleManifest("pod")) as Manifest;
    const annotations = { ...metadata.annotations, "wasmount.dev/module.headers": MODULE };
    template = { metadata: { annotations }, spec: { ...spec, nodeSelector: { "guards.test/node": "none" } } };
    finishing = await podOf("finishing");
    staying = await podOf("staying");
    await webhook.kill();
  });

  after(async () => {
    await unregister?.();
    await webhook?.stop().catch(() => {});
    await kubectl?.run(["delete", "node", NODE, "--ignore-not-found"]);
    await cluster?.close();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  const on = (...args: readonly string[]) => kubectl.run(["-n", FILTERED, ...args]);

  /** As {@link until}, but no error is borne: the webhook is down, not the API server. */
  function eventually<Value>(what: string, look: Look<Value>): Promise<Value> {
    return until(what, look, { seconds: 120, bears: () => false });
  }

  /** A Job whose pod is injected and runs on the node. @returns the pod's name */
  async function podOf(job: string): Promise<string> {
    const spec = { ...template.spec, restartPolicy: "Never" };
    await kubectl.apply({
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: { name: job, namespace: FILTERED },
      spec: { backoffLimit: 0, template: { ...template, spec } },
    });
    const pod = await eventually(`a pod of Job ${job}`, async () => {
      const { items } = await kubectl.get<Manifest>("pods", "-n", FILTERED, "-l", `job-name=${job}`);
      return items[0];
    });
    assert.equal(pod.spec.initContainers[0].name, "wasmount-fetch");
    assert.equal(pod.metadata.labels["wasmount.dev/injected"], "true");
    const { name } = pod.metadata;
    const target = { apiVersion: "v1", kind: "Node", name: NODE };
    const binding = { apiVersion: "v1", kind: "Binding", metadata: { name }, target };
    const address = `/api/v1/namespaces/${FILTERED}/pods/${name}/binding`;
    await kubectl.run(["create", "--raw", address, "-f", "-"], JSON.stringify(binding));
    await report(name, { phase: "Running" });
    return name;
  }

  /** Writes members of a pod's status. */
  async function report(name: string, status: object): Promise<string> {
    const pod = await kubectl.get<Manifest>("pod", name, "-n", FILTERED);
    pod.metadata.resourceVersion = undefined;
    Object.assign(pod.status, status);
    const address = `/api/v1/namespaces/${FILTERED}/pods/${name}/status`;
    return kubectl.run(["replace", "--raw", address, ...KUBELET, "-f", "-"], JSON.stringify(pod));
  }

  /** A pod by itself, as its author writes it. */
  function alone(namespace: string, labels: object = {}): Manifest {
    const metadata = { ...template.metadata, name: "alone", namespace, labels };
    return { apiVersion: "v1", kind: "Pod", ...template, metadata };
  }

  it("no pod that asks for filters is created", async () => {
    await assert.rejects(
      kubectl.run(["create", "-f", "-"], JSON.stringify(alone(FILTERED))),
      /failed calling webhook "namespace\.wasmount\.dev"/,
    );
    await assert.rejects(
      kubectl.run(["create", "-f", "-"], JSON.stringify(alone(UNRELATED, { "wasmount.dev/inject": "true" }))),
      /failed calling webhook "pod\.wasmount\.dev"/,
    );
  });

  it("other pods are created", async () => {
    await kubectl.run(["create", "-f", "-"], JSON.stringify(alone(UNRELATED)));
    await kubectl.run(["create", "-f", "-"], JSON.stringify(alone(FILTERED, { "wasmount.dev/inject": "false" })));
  });

  it("a Job's pod goes on reporting, and the Job completes", async () => {
    const conditions = [{ type: "guards.test/ready", status: "True" }];
    await report(finishing, { conditions });
    const { status } = await kubectl.get<Manifest>("pod", finishing, "-n", FILTERED);
    assert.ok(status.conditions.some(({ type }: Manifest) => type === "guards.test/ready"));
    const exited = { exitCode: 0, reason: "Completed" };
    const ended = (names: readonly string[]) => names.map(name => ({ name, state: { terminated: exited } }));
    await report(finishing, {
      phase: "Succeeded",
      containerStatuses: ended(["app", "envoy"]),
      initContainerStatuses: ended(["wasmount-fetch"]),
    });
    await on("wait", "--for=condition=Complete", "job/finishing", "--timeout=120s");
    // Its finalizer went, which is an update of the pod, too.
    const { metadata } = await kubectl.get<Manifest>("pod", finishing, "-n", FILTERED);
    assert.equal(metadata.finalizers, undefined);
  });

  it("what a pod was admitted as stays guarded", async () => {
    const unlabel = ["label", "pod", staying, "wasmount.dev/injected-"];
    const status = JSON.stringify({ metadata: { annotations: { "wasmount.dev/status": null } } });
    const debug = { name: "thief", image: "x", volumeMounts: [{ name: "wasmount", mountPath: "/loot" }] };
    const pod = await kubectl.get<Manifest>("pod", staying, "-n", FILTERED);
    pod.spec.ephemeralContainers = [debug];
    const address = `/api/v1/namespaces/${FILTERED}/pods/${staying}/ephemeralcontainers`;
    const attempts: readonly (readonly [attempt: () => Promise<string>, policy: string])[] = [
      [() => on(...unlabel), "injected-pods"],
      [() => on("patch", "pod", staying, "--subresource=status", "--type=merge", "-p", status), "injected-pods"],
      [() => on("set", "image", `pod/${staying}`, "wasmount-fetch=registry.example/other:1"), "injected-pods"],
      [() => on("set", "image", `pod/${staying}`, "envoy=registry.example/other:1"), "injected-pods"],
      [() => kubectl.run(["replace", "--raw", address, "-f", "-"], JSON.stringify(pod)), "ephemeral-containers"],
      [() => on("exec", staying, "-c", "wasmount-fetch", "--", "ls"), "exec"],
    ];
    for (const [attempt, policy] of attempts) {
      const message = new RegExp(`ValidatingAdmissionPolicy '${UNRELATED}-wasmount-${policy}'`);
      await assert.rejects(attempt(), message);
    }
  });

  it("pods and Jobs are deleted, running or done", async () => {
    await on("delete", "pod", finishing, "--timeout=60s");
    await on("delete", "job", "finishing", "--timeout=60s");
    await on("delete", "job", "staying", "--cascade=foreground", "--wait=false");
    // A running pod ends when its kubelet has stopped it.
    await eventually("the end of the pod's Job", async () => {
      const { metadata } = await kubectl.get<Manifest>("pod", staying, "-n", FILTERED);
      return metadata.deletionTimestamp;
    });
    await report(staying, { phase: "Failed" });
    await on("delete", "pod", staying, "--grace-period=0", "--force", "--wait=false", ...KUBELET);
    await on("wait", "--for=delete", `pod/${staying}`, "--timeout=60s");
    await on("wait", "--for=delete", "job/staying", "--timeout=60s");
  });
});
