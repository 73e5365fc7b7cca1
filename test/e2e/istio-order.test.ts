import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { type Istiod, startIstiod } from "../environment/istio/istiod.ts";
import { installSlots, SLOTS } from "../environment/istio/mesh.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { makeNamespace } from "../environment/namespace.ts";
import { registerWebhook } from "../environment/registration.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";
import { until } from "../environment/until.ts";
import { startWebhookProcess, type WebhookProcess } from "../environment/webhook-process.ts";

const NAMESPACE = "e2e-istio-order";
const ISTIOS = "istio-sidecar-injector";
/** API servers call webhooks in the order of their registrations' names. */
const places = { before: "a-wasmount", after: "wasmount" } as const;

type Policy = "Never" | "IfNeeded";

/** What an author writes, and where the proxy is then. */
const kinds: Readonly<Record<string, { readonly annotations?: object; readonly direction?: string }>> = {
  "a native sidecar": { annotations: { "sidecar.istio.io/nativeSidecar": "true" } },
  "a classic sidecar": { annotations: { "sidecar.istio.io/nativeSidecar": "false" } },
  "a gateway": { annotations: { "inject.istio.io/templates": "gateway" }, direction: "gateway" },
};

/** Only tried: nothing has to run, so no image is needed. */
describe("wasmount and Istio's injector, in whichever order an API server calls them,", function () {
  this.timeout(20 * 60_000);
  let folder: string;
  let kubectl: Kubectl;
  let istiod: Istiod;
  let webhook: WebhookProcess;
  let register: (name: string) => Promise<() => Promise<void>>;

  before(async function () {
    const reason = await clusterUnavailable({ node: true });
    if (reason !== null) unavailable(this, reason);
    folder = await mkdtemp(join(tmpdir(), "wasmount-istio-order-"));
    const progress = (line: string) => console.log(`      ${line}`);
    const cluster = await openCluster({ node: true, progress });
    kubectl = new Kubectl(cluster);
    istiod = await startIstiod(cluster, join(folder, "istio"), progress);
    await installSlots(kubectl);
    await makeNamespace(kubectl, NAMESPACE, {
      labels: { "istio-injection": "enabled", "wasmount.dev/inject": "true" },
    });
    webhook = await startWebhookProcess({
      folder: join(folder, "webhook"),
      namespaces: ["--kubeconfig", cluster.kubeconfigPath],
      config: {
        fetcher: { image: "registry.example/wasmount:1" },
        pins: { namespace: NAMESPACE },
        istio: { enabled: true, slots: SLOTS },
      },
    });
    register = name =>
      registerWebhook(cluster.kubeConfig, { url: webhook.url, ca: webhook.ca, name, namespaces: [NAMESPACE] });
  });

  after(async () => {
    await webhook?.stop();
    await istiod?.stop();
    await kubectl?.run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"]);
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  /** Has the API server call them in an order, until a try shows that it does. */
  async function order(place: keyof typeof places, ours: Policy, istios: Policy): Promise<() => Promise<void>> {
    const remove = await register(places[place]);
    await reinvoke(places[place], ours);
    await reinvoke(ISTIOS, istios);
    // API servers learn of registrations by a watch.
    await sleep(2_000);
    return remove;
  }

  async function reinvoke(registration: string, policy: Policy): Promise<void> {
    const { webhooks } = await kubectl.get<Manifest>("mutatingwebhookconfiguration", registration);
    const patch = webhooks.map((_: unknown, index: number) => ({
      op: "replace",
      path: `/webhooks/${index}/reinvocationPolicy`,
      value: policy,
    }));
    await kubectl.run([
      "patch",
      "mutatingwebhookconfiguration",
      registration,
      "--type=json",
      "-p",
      JSON.stringify(patch),
    ]);
  }

  async function tried(kind: string): Promise<Manifest> {
    const pod = JSON.stringify(authored(kind));
    const create = () => kubectl.run(["create", "--dry-run=server", "-o", "json", "-f", "-"], pod);
    // Both watch the namespace, and may not have seen it yet.
    const bears = (error: unknown) => /not ready|no endpoints|refused/.test(String(error));
    return JSON.parse(await until("both to know the namespace", create, { seconds: 60, pauseMs: 500, bears }));
  }

  let reference: Readonly<Record<string, Manifest>> = {};

  it("make filtered pods in the order that ships", async () => {
    const remove = await order("after", "IfNeeded", "Never");
    try {
      for (const kind of Object.keys(kinds)) {
        const pod = await tried(kind);
        const [fetcher] = pod.spec.initContainers;
        assert.equal(fetcher.name, "wasmount-fetch");
        assert.equal(fetcher.securityContext.runAsUser, 1337);
        const all = [...pod.spec.initContainers, ...pod.spec.containers];
        const proxy = all.find(({ name }) => name === "istio-proxy") ?? assert.fail("no proxy");
        assert.ok(proxy.volumeMounts.some(({ name }: Manifest) => name === "wasmount"));
        const slot = kinds[kind]?.direction === undefined ? "in-last-01" : "gw-last-01";
        assert.equal(pod.metadata.labels[`wasmount.dev/slot-${slot}`], "true");
        reference = { ...reference, [kind]: comparable(pod) };
      }
    } finally {
      await remove();
    }
  });

  for (const [place, ours, istios] of [
    ["after", "Never", "Never"],
    ["after", "IfNeeded", "IfNeeded"],
    ["before", "IfNeeded", "Never"],
  ] as const) {
    it(`make the same pods where ours is called ${place} Istio's, ours again ${ours}, Istio's again ${istios}`, async () => {
      const remove = await order(place, ours, istios);
      try {
        for (const kind of Object.keys(kinds)) assert.deepEqual(comparable(await tried(kind)), reference[kind], kind);
      } finally {
        await remove();
      }
    });
  }

  // Whoever has the last word after us puts his init container before ours, or our first word was before there was a proxy.
  for (const [place, ours, istios] of [
    ["after", "Never", "IfNeeded"],
    ["before", "IfNeeded", "IfNeeded"],
    ["before", "Never", "Never"],
    ["before", "Never", "IfNeeded"],
  ] as const) {
    it(`make none that is not filtered where ours is called ${place} Istio's, ours again ${ours}, Istio's again ${istios}`, async () => {
      const remove = await order(place, ours, istios);
      try {
        for (const kind of Object.keys(kinds)) {
          const pod = await tried(kind).catch(error => String(error));
          if (typeof pod === "string") assert.match(pod, /wasmount: (FetcherNotFirst|FetcherMissing)/, kind);
          else assert.deepEqual(comparable(pod), reference[kind], kind);
        }
        await assert.rejects(tried("a native sidecar"));
      } finally {
        await remove();
      }
    });
  }

  it("make none that is not filtered where an author has Istio leave a pod alone", async () => {
    const remove = await order("after", "IfNeeded", "Never");
    try {
      const pod = structuredClone(authored("a native sidecar"));
      pod.metadata.labels["sidecar.istio.io/inject"] = "false";
      await assert.rejects(
        kubectl.run(["create", "--dry-run=server", "-f", "-"], JSON.stringify(pod)),
        /wasmount: ProxyNotFound/,
      );
    } finally {
      await remove();
    }
  });
});

function authored(kind: string): Manifest {
  const { annotations = {}, direction } = kinds[kind] ?? {};
  const isGateway = direction !== undefined;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "shop",
      namespace: NAMESPACE,
      labels: { app: "shop" },
      annotations: {
        ...annotations,
        "wasmount.dev/module.headers": `registry.example/headers@sha256:${"a".repeat(64)}`,
        ...(isGateway ? { "wasmount.dev/direction.headers": direction } : {}),
      },
    },
    spec: {
      containers: [
        isGateway
          ? { name: "istio-proxy", image: "auto", imagePullPolicy: "IfNotPresent" }
          : { name: "app", image: "registry.example/shop:1", ports: [{ containerPort: 8080 }] },
      ],
    },
  };
}

/** Without what the API server makes anew for each pod, and without the order of lists where it says nothing. */
function comparable({ metadata, spec }: Manifest): Manifest {
  const text = JSON.stringify({ labels: metadata.labels, annotations: metadata.annotations, spec });
  const pod = JSON.parse(text.replaceAll(/kube-api-access-[a-z0-9]+/g, "kube-api-access"));
  const sorted = (list: Manifest[] = []) => list.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  sorted(pod.spec.volumes);
  for (const { volumeMounts } of [...pod.spec.initContainers, ...pod.spec.containers]) sorted(volumeMounts);
  return pod;
}
