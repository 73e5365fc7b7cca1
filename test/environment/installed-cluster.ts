import { spawn } from "node:child_process";
import { join } from "node:path";
import { stringify } from "yaml";
import { type Cluster, openCluster } from "./cluster/cluster.ts";
import { type CommandOutcome, runCommand } from "./command.ts";
import { MODULE } from "./guarded-cluster.ts";
import { shippedGuards } from "./guards.ts";
import { Kubectl } from "./kubectl.ts";
import { registerWebhook } from "./registration.ts";
import { webhookAccount } from "./service-account.ts";
import type { Manifest } from "./stage.ts";
import { type Look, until } from "./until.ts";
import { startWebhookProcess, type WebhookProcess } from "./webhook-process.ts";

export const SYSTEM = "wasmount-system";
export const IMAGE = "registry.example/wasmount:1";

/** All of wasmount in a cluster under its real names, but for the webhook, which is a process of this machine. */
export interface Installation {
  readonly cluster: Cluster;
  readonly kubectl: Kubectl;
  readonly webhook: WebhookProcess;
  /** Runs `wasmount`, on this cluster. */
  wasmount(...args: readonly string[]): Promise<CommandOutcome>;
  /** Waits for something to be so, for a minute; an error is thrown at once. @returns what the look found */
  eventually<Value>(what: string, look: Look<Value>): Promise<Value>;
  /** Creates a pod, for nothing or to stay. @returns kubectl's outcome as text: what it printed, or how it was refused */
  tried(pod: Manifest, ...options: readonly string[]): Promise<string>;
  close(): Promise<void>;
}

/** The guards under their real names, told the fetcher's image. */
export async function realGuards(image = IMAGE): Promise<Manifest[]> {
  const manifests = await shippedGuards();
  for (const { spec } of manifests) {
    const images = spec.variables?.find(({ name }: Manifest) => name === "images");
    if (images) images.expression = `['${image}', 'registry.example/wasmount:0']`;
  }
  return manifests;
}

/** @param folder for files of the webhook's */
export async function install(folder: string): Promise<Installation> {
  const undo: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (let action = undo.pop(); action; action = undo.pop()) await action();
  };
  try {
    const cluster = await openCluster({ node: false, progress: line => console.log(`      ${line}`) });
    const kubectl = new Kubectl(cluster);
    const account = await webhookAccount(cluster, SYSTEM, folder);
    undo.push(account.remove);
    const config = { fetcher: { image: IMAGE } };
    const webhook = await startWebhookProcess({
      folder: join(folder, "webhook"),
      namespaces: ["--kubeconfig", account.kubeconfigPath],
      config,
    });
    undo.push(() => webhook.stop());
    const { certFile, keyFile } = webhook.files;
    await kubectl.apply({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "wasmount-config", namespace: SYSTEM },
      data: { "wasmount.yaml": stringify({ tls: { certFile, keyFile }, ...config }) },
    });
    const guards = await realGuards();
    undo.push(async () => {
      for (const { kind, metadata } of [...guards].reverse()) {
        await kubectl.run(["delete", kind, metadata.name, "--ignore-not-found"]);
      }
    });
    await kubectl.apply(...guards.filter(({ kind }) => kind === "ValidatingAdmissionPolicy"));
    await kubectl.apply(...guards.filter(({ kind }) => kind !== "ValidatingAdmissionPolicy"));
    undo.push(await registerWebhook(cluster.kubeConfig, { ...webhook, name: "wasmount" }));
    return {
      cluster,
      kubectl,
      webhook,
      wasmount: (...args) => runCommand([...args, "--kubeconfig", cluster.kubeconfigPath], { cwd: folder }),
      eventually: (what, look) => until(() => `${what}\n${webhook.log()}`, look, { seconds: 60, bears: () => false }),
      tried: (pod, ...options) => created(cluster, pod, options),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** kubectl's own output and its warnings, which {@link Kubectl} does not show of a success. */
async function created(
  { binaries, kubeconfigPath }: Cluster,
  pod: Manifest,
  options: readonly string[],
): Promise<string> {
  const args = ["--kubeconfig", kubeconfigPath, "create", "-f", "-", ...options];
  const child = spawn(binaries["kubectl"] ?? "kubectl", args, { stdio: ["pipe", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  child.stdin.end(JSON.stringify(pod));
  await new Promise(resolve => child.on("close", resolve));
  return output;
}

/** A pod that asks for a filter and is never scheduled. */
export function asking(namespace: string, name: string): Manifest {
  const container = { image: "registry.example/app:1" };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, annotations: { "wasmount.dev/module.headers": MODULE } },
    spec: {
      nodeSelector: { "diagnosis.test/node": "none" },
      terminationGracePeriodSeconds: 0,
      containers: [
        { ...container, name: "app" },
        {
          name: "envoy",
          image: "docker.io/envoyproxy/envoy:v1.40.0",
          args: ["-c", "/etc/envoy/envoy.yaml"],
          volumeMounts: [{ name: "config", mountPath: "/etc/envoy" }],
        },
      ],
      volumes: [{ name: "config", configMap: { name: "envoy" } }],
    },
  };
}
