import { join } from "node:path";
import { parse } from "yaml";
import { RegistryClient } from "../../src/oci/client.ts";
import { moduleImage } from "../../src/oci/module-image.ts";
import { pushModule } from "../../src/oci/push-module.ts";
import { parseReference } from "../../src/oci/reference.ts";
import type { Cluster } from "./cluster/cluster.ts";
import type { Progress } from "./cluster/progress.ts";
import { type DistributionRegistry, startDistributionRegistry } from "./distribution-registry.ts";
import { buildExampleFilter, exampleManifest } from "./example.ts";
import { envoyImage } from "./images/images.ts";
import { Kubectl } from "./kubectl.ts";
import { makeNamespace } from "./namespace.ts";
import { registerWebhook } from "./registration.ts";
import { applicationImage, wasmountImage } from "./wasmount-image.ts";
import { startWebhookProcess, type WebhookProcess } from "./webhook-process.ts";

/** The operator's own namespace, where the webhook keeps pins and its Lease. */
const OWN = "wasmount-stage-system";

/** Everything that the example needs to run on a cluster with a node of ours. */
export interface Stage {
  readonly kubectl: Kubectl;
  readonly registry: DistributionRegistry;
  readonly webhook: WebhookProcess;
  /** Tag reference of the example's module in the registry, and the digest of its layer there. */
  readonly module: { readonly reference: string; readonly digest: string; readonly layer: string };
  /** The example's namespace, ConfigMap and pod, in a namespace of the given name, with images of this cluster. */
  example(namespace: string): Promise<ExampleObjects>;
  /** Ends what was started here; the cluster stays. */
  strike(): Promise<void>;
}

export interface ExampleObjects {
  readonly namespace: Manifest;
  readonly configMap: Manifest;
  readonly pod: Manifest;
}

/** A manifest as it was written: read and changed like a document. */

export type Manifest = ReturnType<typeof JSON.parse>;

export interface StageOptions {
  /** Another address of the registry, for a start; told its own. */
  readonly front?: (registry: string) => Promise<string>;
  /** Members of the operator's configuration, beside those that the stage needs. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Members of its section about the fetcher, likewise. */
  readonly fetcher?: Readonly<Record<string, unknown>>;
  /** The name of the webhook's registration: API servers call webhooks in the alphabet's order. */
  readonly registration?: string;
  /** The image that is injected; default: the composed one. */
  readonly image?: () => Promise<{ readonly archivePath: string }>;
}

/** What the example needs beside wasmount itself. */
export interface RaisedExample {
  /** References of images that the cluster's node has. */
  readonly images: { readonly wasmount: string; readonly envoy: string; readonly app: string };
  readonly registry: DistributionRegistry;
  /** Address that the registry is reached at. */
  readonly address: string;
  readonly module: Stage["module"];
  example(namespace: string): Promise<ExampleObjects>;
  strike(): Promise<void>;
}

/** Raises registry and images beside a cluster, and pushes the example's filter. */
export async function raiseExample(
  cluster: Cluster,
  folder: string,
  progress: Progress,
  { front = async address => address, image = wasmountImage }: Pick<StageOptions, "front" | "image"> = {},
): Promise<RaisedExample> {
  const host = cluster.hostAddressForPods;
  if (host === null) throw new Error("this cluster has no node whose pods could reach this machine");
  progress("building the images of wasmount, Envoy and the application");
  const images = {
    wasmount: await importOne(cluster, image()),
    envoy: await importOne(cluster, envoyImage(progress)),
    app: await importOne(cluster, applicationImage()),
  };
  const registry = await startDistributionRegistry(join(folder, "registry"), host, progress);
  const strike = () => registry.stop();
  try {
    const address = await front(registry.address);
    progress("building the example filter and pushing it");
    const module = await pushExample(address, folder);
    const example = (name: string) => exampleObjects(name, module.reference, images);
    return { images, registry, address, module, example, strike };
  } catch (error) {
    await strike();
    throw error;
  }
}

/** Raises registry, images and webhook beside a cluster and registers the webhook there. */
export async function setStage(
  cluster: Cluster,
  folder: string,
  progress: Progress,
  { front, config = {}, fetcher = {}, registration, image }: StageOptions = {},
): Promise<Stage> {
  const raised = await raiseExample(cluster, folder, progress, {
    ...(front === undefined ? {} : { front }),
    ...(image === undefined ? {} : { image }),
  });
  const { images, registry, address, module, example } = raised;
  const undo: (() => Promise<unknown>)[] = [raised.strike];
  const strike = async () => {
    for (let action = undo.pop(); action; action = undo.pop()) await action();
  };
  try {
    const kubectl = new Kubectl(cluster);
    await makeNamespace(kubectl, OWN);
    undo.push(() => kubectl.run(["delete", "namespace", OWN, "--wait=false"]));
    const webhook = await startWebhookProcess({
      folder: join(folder, "webhook"),
      namespaces: ["--kubeconfig", cluster.kubeconfigPath],
      config: {
        fetcher: { image: images.wasmount, imagePullPolicy: "Never", ...fetcher },
        registries: [{ host: address, plainHttp: true }],
        pins: { namespace: OWN },
        ...config,
      },
    });
    undo.push(() => webhook.stop());
    const name = registration === undefined ? {} : { name: registration };
    undo.push(await registerWebhook(cluster.kubeConfig, { ...webhook, ...name }));
    return { kubectl, registry, webhook, module, strike, example };
  } catch (error) {
    await strike();
    throw error;
  }
}

async function importOne(cluster: Cluster, image: Promise<{ readonly archivePath: string }>): Promise<string> {
  return cluster.importImage((await image).archivePath);
}

async function pushExample(address: string, folder: string): Promise<Stage["module"]> {
  const bytes = await buildExampleFilter(join(folder, "response-headers.wasm"));
  const image = await moduleImage({ module: bytes, name: "response-headers", layout: "cncf" });
  const reference = `${address}/filters/response-headers:1.0`;
  const client = new RegistryClient({ registries: [{ host: address, plainHttp: true }] });
  const { digest } = await pushModule(client, parseReference(reference), image).finally(() => client.close());
  const layer = image.blobs.at(-1)?.digest;
  if (layer === undefined) throw new Error("the image has no layer");
  return { reference, digest, layer };
}

async function exampleObjects(
  name: string,
  reference: string,
  images: { readonly envoy: string; readonly app: string },
): Promise<ExampleObjects> {
  const [namespace, configMap, pod] = await Promise.all(
    (["namespace", "configmap", "pod"] as const).map(async file => parse(await exampleManifest(file)) as Manifest),
  );
  namespace.metadata.name = name;
  configMap.metadata.namespace = name;
  pod.metadata.namespace = name;
  pod.metadata.annotations["wasmount.dev/module.headers"] = reference;
  for (const container of pod.spec.containers) {
    container.image = images[container.name as keyof typeof images];
    container.imagePullPolicy = "Never";
  }
  return { namespace, configMap, pod };
}
