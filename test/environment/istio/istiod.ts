import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseAllDocuments } from "yaml";
import { binaryOf } from "../cluster/binaries.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { Progress } from "../cluster/progress.ts";
import { Kubectl } from "../kubectl.ts";
import { spawnChecked } from "../spawn.ts";
import { PROXY_IMAGE } from "./proxy-image.ts";

export const ISTIO_NAMESPACE = "istio-system";

/** A running istiod: it injects by its webhook, and serves proxies. */
export interface Istiod {
  /** Pods find it by this, since the local cluster has no DNS. */
  readonly hostAliases: readonly { readonly ip: string; readonly hostnames: readonly string[] }[];
  /** What it said. */
  log(): Promise<string>;
  /** Ends it and removes what it was installed by. */
  stop(): Promise<void>;
}

/** A manifest as it was written. */
type Manifest = ReturnType<typeof JSON.parse>;

export interface IstiodOptions {
  /** reinvocationPolicy of its webhook: Istio's default is Never. */
  readonly reinvocation?: "Never" | "IfNeeded";
  /** Whether pods are redirected by a CNI plugin, and have no init container for it. */
  readonly cni?: boolean;
}

const KINDS = [
  "ClusterRole",
  "ClusterRoleBinding",
  "ConfigMap",
  "CustomResourceDefinition",
  "MutatingWebhookConfiguration",
  "Role",
  "RoleBinding",
  "ServiceAccount",
];
const START_MS = 60_000;
/** So that istioctl looks for no cluster of somebody's. */
export const NO_CLUSTER = { ...process.env, KUBECONFIG: "/nonexistent" };

/** What `istioctl manifest generate` writes for a sidecar mesh, as far as an istiod outside the cluster needs it. */
export async function istioManifests(progress: Progress, options: IstiodOptions = {}): Promise<readonly Manifest[]> {
  const istioctl = await binaryOf("istioctl", progress);
  const [image = "", tag = ""] = PROXY_IMAGE.split("/proxyv2:");
  const settings = {
    profile: "minimal",
    hub: image,
    tag,
    "values.global.imagePullPolicy": "IfNotPresent",
    "values.global.proxy.resources.requests.cpu": "10m",
    // Upstream's Envoy lacks Istio's own extensions.
    "values.telemetry.enabled": "false",
    "components.cni.enabled": String(options.cni ?? false),
    "values.sidecarInjectorWebhook.reinvocationPolicy": options.reinvocation ?? "Never",
  };
  const flags = Object.entries(settings).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
  const written = await spawnChecked(istioctl, ["manifest", "generate", ...flags], { env: NO_CLUSTER });
  return parseAllDocuments(written).map(document => document.toJS() as Manifest);
}

/** Installs Istio on a cluster, with istiod as a process of this machine. */
export async function startIstiod(
  cluster: Cluster,
  folder: string,
  progress: Progress,
  options: IstiodOptions = {},
): Promise<Istiod> {
  const host = cluster.hostAddressForPods;
  if (host === null) throw new Error("this cluster has no node whose pods could reach this machine");
  const kubectl = new Kubectl(cluster);
  const binary = await binaryOf("pilot-discovery", progress);
  const manifests = (await istioManifests(progress, options)).filter(manifest => KINDS.includes(manifest?.kind));
  await mkdir(folder, { recursive: true });
  progress("installing Istio");
  // An earlier one's may still be going.
  await kubectl.run(["delete", "namespace", ISTIO_NAMESPACE, "--ignore-not-found", "--timeout=120s"]);
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: ISTIO_NAMESPACE } };
  const all = [namespace, ...manifests, ...servedFrom(host)];
  await kubectl.run(
    ["apply", "--server-side", "--force-conflicts", "-f", "-"],
    JSON.stringify({ apiVersion: "v1", kind: "List", items: all }),
  );
  const injector = manifests.find(({ kind }) => kind === "MutatingWebhookConfiguration")?.metadata.name;
  const logPath = join(folder, "istiod.log");
  const child = spawn(
    binary,
    ["discovery", "--kubeconfig", cluster.kubeconfigPath, "--monitoringAddr=:15014", "--domain", "cluster.local"],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env["PATH"],
        HOME: folder,
        POD_NAMESPACE: ISTIO_NAMESPACE,
        POD_NAME: "istiod-0",
        REVISION: "default",
        CLUSTER_ID: "Kubernetes",
        PILOT_ENABLE_METADATA_EXCHANGE: "false",
        PILOT_ENABLE_ALPN_FILTER: "false",
        INJECTION_WEBHOOK_CONFIG_NAME: injector,
      },
      cwd: folder,
    },
  );
  const log = createWriteStream(logPath);
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const stop = async () => {
    await ended(child);
    const kinds = "mutatingwebhookconfiguration,validatingwebhookconfiguration,clusterrole,clusterrolebinding";
    await kubectl.run(["delete", kinds, "-l", "app.kubernetes.io/part-of=istio", "--ignore-not-found"]);
    await kubectl.run(["delete", "mutatingwebhookconfiguration", injector, "--ignore-not-found"]);
    await kubectl.run(["delete", "namespace", ISTIO_NAMESPACE, "--ignore-not-found", "--wait=false"]);
  };
  try {
    await injecting(kubectl, injector, child);
  } catch (error) {
    await stop();
    throw new Error(`istiod did not come up: ${(await readFile(logPath, "utf8")).slice(-3000)}`, { cause: error });
  }
  return {
    hostAliases: [{ ip: host, hostnames: [`istiod.${ISTIO_NAMESPACE}.svc`] }],
    log: () => readFile(logPath, "utf8"),
    stop,
  };
}

/** The Service that its webhook's registration names, and pods by their host alias: this machine. */
function servedFrom(host: string): readonly Manifest[] {
  const ports = [
    { name: "https-webhook", port: 15017 },
    { name: "https-dns", port: 15012 },
  ];
  const metadata = { name: "istiod", namespace: ISTIO_NAMESPACE };
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata,
      spec: {
        ports: [
          { name: "https-webhook", port: 443, targetPort: 15017 },
          { name: "https-dns", port: 15012, targetPort: 15012 },
        ],
      },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { ...metadata, name: "istiod-host", labels: { "kubernetes.io/service-name": "istiod" } },
      addressType: "IPv4",
      ports,
      endpoints: [{ addresses: [host] }],
    },
  ];
}

/** Whether its webhook answers: a dry run comes back with a proxy. */
async function injecting(kubectl: Kubectl, injector: string, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_MS;
  for (;;) {
    const registration = await kubectl.get<Manifest>("mutatingwebhookconfiguration", injector);
    if (registration.webhooks.every((webhook: Manifest) => (webhook.clientConfig.caBundle ?? "") !== "")) return;
    if (child.exitCode !== null) throw new Error(`istiod ended with ${child.exitCode}`);
    if (performance.now() > deadline) throw new Error("it has not written its caBundle");
    await sleep(200);
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  const patience = setTimeout(() => child.kill("SIGKILL"), 10_000);
  await once(child, "exit");
  clearTimeout(patience);
}
