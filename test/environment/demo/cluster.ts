import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { INJECT } from "../../../src/admission/key.ts";
import type { Pod } from "../../../src/kube/pod.ts";
import { type Cluster, nodeUnavailable, openCluster } from "../cluster/cluster.ts";
import { flipLastByte } from "../corruption.ts";
import { exampleManifest } from "../example.ts";
import { Kubectl } from "../kubectl.ts";
import { registerWebhook } from "../registration.ts";
import { type Manifest, setStage } from "../stage.ts";
import { type Look, until } from "../until.ts";
import type { Cleanup } from "./cleanup.ts";
import { type Creation, localDemo } from "./local.ts";
import { detail, objectDiff, paint, type Steps } from "./terminal.ts";

const NAMESPACE = "wasmount-demo";

/**
 * The demo with a real API server. Where the cluster has a node of ours the pods run there; else the API server creates
 * the pod, and what it stored is run as local processes.
 */
export async function clusterDemo(steps: Steps, cleanup: Cleanup): Promise<string> {
  const reason = await nodeUnavailable();
  const cluster = await steps.run(
    "Open the cluster",
    () => openCluster({ node: reason === null, progress: detail }),
    ({ kubeconfigPath }) => `KUBECONFIG=${kubeconfigPath}`,
  );
  if (cluster.hasNode) return nodeDemo(cluster, steps, cleanup);
  detail(
    `no node: ${reason ?? "this cluster has none of ours"}. The API server admits the pod; local processes run it.`,
  );
  return localDemo(steps, cleanup, createdBy(cluster, cleanup));
}

/** Creation by a real API server that calls the webhook. */
function createdBy(cluster: Cluster, cleanup: Cleanup): Creation {
  const kubectl = new Kubectl(cluster);
  return {
    title: "Create an annotated pod: the API server calls the webhook",
    namespaces: async () => ["--kubeconfig", cluster.kubeconfigPath],
    async create(pod, { url, ca }) {
      cleanup.add("webhook registration", await registerWebhook(cluster.kubeConfig, { url, ca }));
      await makeNamespace(kubectl, cleanup);
      // A token's volume is filled by a kubelet, and there is none.
      const manifest = {
        ...pod,
        metadata: { ...pod.metadata, namespace: NAMESPACE },
        spec: { ...pod.spec, automountServiceAccountToken: false },
      };
      await kubectl.apply(manifest);
      return kubectl.get<Pod>("pod", pod.metadata.name ?? "", "-n", NAMESPACE);
    },
  };
}

async function makeNamespace(kubectl: Kubectl, cleanup: Cleanup): Promise<void> {
  const namespace = parse(await exampleManifest("namespace")) as Manifest;
  namespace.metadata.name = NAMESPACE;
  await kubectl.run(["delete", "namespace", NAMESPACE, "--ignore-not-found"]);
  await kubectl.apply(namespace);
  cleanup.add("namespace", async () => void (await kubectl.run(["delete", "namespace", NAMESPACE, "--wait=false"])));
  await eventually("the default ServiceAccount", () => kubectl.get("serviceaccount", "default", "-n", NAMESPACE));
}

async function nodeDemo(cluster: Cluster, steps: Steps, cleanup: Cleanup): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "wasmount-"));
  cleanup.folder(folder);
  const stage = await steps.run(
    "Raise a registry with the example filter, the webhook, and the images of both",
    () => setStage(cluster, folder, detail),
    ({ module }) => `${module.reference} is ${module.digest}`,
  );
  cleanup.add("stage", () => stage.strike());
  const { kubectl } = stage;
  await makeNamespace(kubectl, cleanup);
  const { configMap, pod } = await stage.example(NAMESPACE);

  const admitted = await steps.run(
    "Create the annotated pod",
    async () => {
      await kubectl.apply(configMap, pod);
      return kubectl.get<Manifest>("pod", pod.metadata.name, "-n", NAMESPACE);
    },
    ({ metadata }) => `admitted with plan ${metadata.labels["wasmount.dev/plan"]}`,
  );
  process.stdout.write(`${objectDiff(await unfiltered(kubectl, pod), withoutIdentity(admitted))}\n`);

  const url = await steps.run(
    "Wait for the pod: the kubelet runs the fetcher, then the application and Envoy",
    () => eventually("the pod to answer", () => answeringUrl(kubectl, pod.metadata.name)),
    found => `${found} answers`,
  );
  const log = await kubectl.run(["logs", pod.metadata.name, "-c", "wasmount-fetch", "-n", NAMESPACE]);
  for (const line of log.trimEnd().split("\n")) detail(line);

  await steps.run(
    "Ask for a page through Envoy",
    async () => (await fetch(url)).headers.get("x-filtered-by"),
    header => {
      if (header !== "wasmount") throw new Error(`the response has x-filtered-by: ${header}`);
      return paint("green", `x-filtered-by: ${header}`);
    },
  );

  await steps.run(
    "Change one byte of the module in the registry, and create the pod again under another name",
    async () => {
      await stage.registry.corrupt(stage.module.layer, flipLastByte);
      const other = { ...pod, metadata: { ...pod.metadata, name: `${pod.metadata.name}-2` } };
      await kubectl.apply(other);
      return eventually("the fetcher to refuse", () => fetcherMessage(kubectl, other.metadata.name));
    },
    message => `${paint("red", message)} (Envoy was never started)`,
  );
  return `curl -i ${url}; kubectl --kubeconfig ${cluster.kubeconfigPath} -n ${NAMESPACE} describe pod`;
}

/** What the API server makes of the pod where it asks for nothing, so that a diff shows what admission did. */
async function unfiltered(kubectl: Kubectl, pod: Manifest): Promise<Manifest> {
  const { labels } = pod.metadata;
  const asking = { ...pod, metadata: { ...pod.metadata, labels: { ...labels, [INJECT]: "false" } } };
  const text = await kubectl.run(["create", "--dry-run=server", "-o", "json", "-f", "-"], JSON.stringify(asking));
  const made = withoutIdentity(JSON.parse(text));
  return { ...made, metadata: { ...made.metadata, labels } };
}

/** Without what two pods never share: who they are, where they run and how they do. */
function withoutIdentity({ metadata, spec, status: _, ...rest }: Manifest): Manifest {
  const { name, namespace, labels, annotations } = metadata;
  const isToken = ({ name: volume }: { readonly name: string }) => volume.startsWith("kube-api-access-");
  const withoutToken = (container: Manifest) => ({
    ...container,
    volumeMounts: container["volumeMounts"]?.filter((mount: { name: string }) => !isToken(mount)),
  });
  const { nodeName: __, ...wanted } = spec;
  const lists = ["initContainers", "containers"].filter(list => spec[list] !== undefined);
  return {
    ...rest,
    metadata: { name, namespace, labels, annotations },
    spec: {
      ...wanted,
      ...Object.fromEntries(lists.map(list => [list, spec[list].map(withoutToken)])),
      volumes: spec.volumes?.filter((volume: { name: string }) => !isToken(volume)),
    },
  };
}

async function answeringUrl(kubectl: Kubectl, name: string): Promise<string | null> {
  const { status } = await kubectl.get<Manifest>("pod", name, "-n", NAMESPACE);
  const url = `http://${status.podIP}:10000/`;
  return (await fetch(url)).status === 200 ? url : null;
}

async function fetcherMessage(kubectl: Kubectl, name: string): Promise<string | null> {
  const { status } = await kubectl.get<Manifest>("pod", name, "-n", NAMESPACE);
  const [fetcher] = status.initContainerStatuses ?? [];
  return (fetcher?.state.terminated ?? fetcher?.lastState.terminated)?.message ?? null;
}

/** As {@link until}, and no longer than somebody bears who watches a demo. */
function eventually<Value>(what: string, look: Look<Value>): Promise<Value> {
  return until(what, look, { seconds: 60, pauseMs: 250 });
}
