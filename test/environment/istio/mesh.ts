import { join } from "node:path";
import { slotFilters } from "../../../src/dataplanes/istio-slots.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { Progress } from "../cluster/progress.ts";
import type { Kubectl } from "../kubectl.ts";
import { type Manifest, type Stage, type StageOptions, setStage } from "../stage.ts";
import { ISTIO_NAMESPACE, type Istiod, type IstiodOptions, startIstiod } from "./istiod.ts";
import { istioProxyImage } from "./proxy-image.ts";

/** The stage, with a mesh beside it. */
export interface MeshStage {
  readonly stage: Stage;
  readonly istiod: Istiod;
  /** A pod whose application answers on 8080 with what it was asked, and writes a line for each byte stream it gets. */
  pod(name: string, namespace: string, changes?: PodChanges): Manifest;
  strike(): Promise<void>;
}

export interface PodChanges {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface MeshOptions extends IstiodOptions, Pick<StageOptions, "fetcher" | "registration"> {}

/** How many slots the tests install. */
export const SLOTS = 3;

/**
 * Answers HTTP by hand, so that it can tell what came as bytes: the first line of each connection is its log, and the
 * certificate's owner that the proxy vouches for its answer.
 */
const application = `
require("node:net").createServer(socket => {
  let text = "";
  socket.on("error", () => {});
  socket.on("data", chunk => {
    if (text === "") console.log("got " + JSON.stringify(chunk.toString("latin1").split("\\r\\n")[0]));
    text += chunk.toString("latin1");
    if (!text.includes("\\r\\n\\r\\n")) return;
    const peer = /x-forwarded-client-cert: (.*)\\r/i.exec(text)?.[1] ?? "nobody";
    const body = "hello " + peer + "\\n";
    socket.end("HTTP/1.1 200 OK\\r\\ncontent-length: " + body.length + "\\r\\nconnection: close\\r\\n\\r\\n" + body);
  });
}).listen(8080, "0.0.0.0");
`;

/** Raises Istio, its proxies' image, wasmount's slots, and wasmount itself. */
export async function setMeshStage(
  cluster: Cluster,
  folder: string,
  progress: Progress,
  { fetcher = {}, registration, ...options }: MeshOptions = {},
): Promise<MeshStage> {
  await cluster.importImage((await istioProxyImage(progress)).archivePath);
  const istiod = await startIstiod(cluster, join(folder, "istio"), progress, options);
  let stage: Stage | undefined;
  const strike = async () => {
    await stage?.strike();
    await istiod.stop();
  };
  try {
    stage = await setStage(cluster, folder, progress, {
      config: { istio: { enabled: true, slots: SLOTS } },
      fetcher,
      ...(registration === undefined ? {} : { registration }),
    });
    await installSlots(stage.kubectl);
    const { spec } = (await stage.example("unused")).pod;
    const image = spec.containers.find(({ name }: Manifest) => name === "app").image;
    const { module } = stage;
    const pod: MeshStage["pod"] = (name, namespace, { labels = {}, annotations = {} } = {}) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name,
        namespace,
        labels: { app: name, ...labels },
        annotations: {
          "wasmount.dev/module.headers": module.reference,
          "wasmount.dev/config.headers": "x-filtered-by = wasmount",
          ...annotations,
        },
      },
      spec: {
        hostAliases: istiod.hostAliases,
        terminationGracePeriodSeconds: 1,
        containers: [
          { name: "app", image, imagePullPolicy: "Never", args: ["-e", application], ports: [{ containerPort: 8080 }] },
        ],
      },
    });
    return { stage, istiod, pod, strike };
  } catch (error) {
    await strike();
    throw error;
  }
}

/** The EnvoyFilters that the chart installs. */
export async function installSlots(kubectl: Kubectl): Promise<void> {
  await kubectl.run(
    ["apply", "--server-side", "--force-conflicts", "-f", "-"],
    JSON.stringify({ apiVersion: "v1", kind: "List", items: slotFilters(ISTIO_NAMESPACE, SLOTS, "/wasmount") }),
  );
}

/** A Service for a pod's port 8080. By the port's name Istio knows what is spoken. */
export function service(name: string, namespace: string, portName: string): Manifest {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace },
    spec: { selector: { app: name }, ports: [{ name: portName, port: 8080, targetPort: 8080 }] },
  };
}
