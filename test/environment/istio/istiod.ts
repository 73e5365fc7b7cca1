import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { binaryOf } from "../cluster/binaries.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { Progress } from "../cluster/progress.ts";
import { Kubectl } from "../kubectl.ts";
import { spawnChecked } from "../spawn.ts";
import { until } from "../until.ts";
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
  /** The name of a revision, to be installed beside the one without a name, which has to be there by then. */
  readonly revision?: string;
  /** Other names by which namespaces ask for the revision (`istioctl tag set`). */
  readonly tags?: readonly string[];
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
/** Of these, what no namespace takes along when it goes; definitions stay. */
const CLUSTER_KINDS = ["ClusterRole", "ClusterRoleBinding", "MutatingWebhookConfiguration"];
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
    ...(options.revision === undefined ? {} : { revision: options.revision }),
    ...Object.fromEntries((options.tags ?? []).map((tag, index) => [`values.revisionTags[${index}]`, tag])),
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
  const { revision } = options;
  const name = revision === undefined ? "istiod" : `istiod-${revision}`;
  const ports = portsOf(revision);
  progress(revision === undefined ? "installing Istio" : `installing Istio's revision ${revision}`);
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: ISTIO_NAMESPACE } };
  const all = [namespace, ...manifests, ...servedFrom(host, name, ports)];
  // An earlier one's may still be going.
  if (revision === undefined) {
    await kubectl.run(["delete", "namespace", ISTIO_NAMESPACE, "--ignore-not-found", "--timeout=120s"]);
  }
  await kubectl.run(
    ["apply", "--server-side", "--force-conflicts", "-f", "-"],
    JSON.stringify({ apiVersion: "v1", kind: "List", items: all }),
  );
  // Beside the injector's own there is one for each tag.
  const registrations: readonly string[] = manifests
    .filter(({ kind }) => kind === "MutatingWebhookConfiguration")
    .map(manifest => manifest.metadata.name);
  const logPath = join(folder, "istiod.log");
  const child = spawn(
    binary,
    ["discovery", "--kubeconfig", cluster.kubeconfigPath, "--domain", "cluster.local", ...listeningOn(ports)],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env["PATH"],
        HOME: folder,
        POD_NAMESPACE: ISTIO_NAMESPACE,
        POD_NAME: `${name}-0`,
        REVISION: revision ?? "default",
        CLUSTER_ID: "Kubernetes",
        PILOT_ENABLE_METADATA_EXCHANGE: "false",
        PILOT_ENABLE_ALPN_FILTER: "false",
        INJECTION_WEBHOOK_CONFIG_NAME: registrations.find(one => one.startsWith("istio-sidecar-injector")),
      },
      cwd: folder,
    },
  );
  const log = createWriteStream(logPath);
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const stop = async () => {
    await ended(child);
    for (const { kind, metadata } of manifests.filter(one => CLUSTER_KINDS.includes(one.kind))) {
      await kubectl.run(["delete", kind, metadata.name, "--ignore-not-found"]);
    }
    if (revision !== undefined) return;
    await kubectl.run(["delete", "namespace", ISTIO_NAMESPACE, "--ignore-not-found", "--wait=false"]);
  };
  try {
    for (const registration of registrations) await injecting(kubectl, registration, child);
    const service = await kubectl.get<Manifest>("service", name, "-n", ISTIO_NAMESPACE);
    return {
      hostAliases: [{ ip: service.spec.clusterIP, hostnames: [`${name}.${ISTIO_NAMESPACE}.svc`] }],
      log: () => readFile(logPath, "utf8"),
      stop,
    };
  } catch (error) {
    await stop();
    throw new Error(`istiod did not come up: ${(await readFile(logPath, "utf8")).slice(-3000)}`, { cause: error });
  }
}

/** Where an istiod listens on this machine. */
interface Ports {
  readonly webhook: number;
  readonly discovery: number;
  readonly others: Readonly<Record<"grpcAddr" | "httpAddr" | "monitoringAddr" | "ctrlz_port", number>>;
}

/** Istio's own ports, and other ones for a revision beside it. */
function portsOf(revision: string | undefined): Ports {
  const shift = revision === undefined ? 0 : 100;
  return {
    webhook: 15017 + shift,
    discovery: 15012 + shift,
    others: {
      grpcAddr: 15010 + shift,
      httpAddr: 8080 + shift,
      monitoringAddr: 15014 + shift,
      ctrlz_port: 9876 + shift,
    },
  };
}

function listeningOn({ webhook, discovery, others }: Ports): string[] {
  return Object.entries({ httpsAddr: webhook, secureGRPCAddr: discovery, ...others }).map(
    ([flag, port]) => `--${flag}=${flag.endsWith("Addr") ? ":" : ""}${port}`,
  );
}

/** The Service that its webhook's registration names, and pods by their host alias: this machine. */
function servedFrom(host: string, name: string, { webhook, discovery }: Ports): readonly Manifest[] {
  const metadata = { name, namespace: ISTIO_NAMESPACE };
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata,
      spec: {
        ports: [
          { name: "https-webhook", port: 443, targetPort: webhook },
          { name: "https-dns", port: 15012, targetPort: discovery },
        ],
      },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { ...metadata, name: `${name}-host`, labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      ports: [
        { name: "https-webhook", port: webhook },
        { name: "https-dns", port: discovery },
      ],
      endpoints: [{ addresses: [host] }],
    },
  ];
}

/** Waits until API servers can call its webhook, by the authority that it writes into the registration itself. */
async function injecting(kubectl: Kubectl, injector: string, child: ChildProcess): Promise<void> {
  const isTrusted = async () => {
    if (child.exitCode !== null) throw new Error(`istiod ended with ${child.exitCode}`);
    const registration = await kubectl.get<Manifest>("mutatingwebhookconfiguration", injector);
    return registration.webhooks.every((webhook: Manifest) => (webhook.clientConfig.caBundle ?? "") !== "");
  };
  await until("istiod to write its caBundle", isTrusted, { seconds: 60, bears: () => false });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  const patience = setTimeout(() => child.kill("SIGKILL"), 10_000);
  await once(child, "exit");
  clearTimeout(patience);
}
