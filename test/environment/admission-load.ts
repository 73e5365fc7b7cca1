import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import type { RequestOptions } from "node:https";
import { join } from "node:path";
import type { KubeConfig } from "@kubernetes/client-node";
import type { Manifest } from "./stage.ts";
import type { SteadyLoad } from "./steady-load.ts";

const FETCHER = '"name":"wasmount-fetch"';
const HEADERS = { "content-type": "application/json", accept: "application/json" };
/** How many owners the pods of reviews have: enough for a plan to be signed anew now and then. */
const OWNERS = 100;

type Pace = Pick<SteadyLoad, "perSecond" | "width">;

/**
 * Creations of a pod with `dryRun=All`: through all of admission, and none is stored.
 * @param folder for the API server's certificate and credentials
 * @param isFiltered whether pods are wanted with the fetcher; else any will do
 */
export async function creations(
  kubeConfig: KubeConfig,
  folder: string,
  pod: Manifest,
  isFiltered: boolean,
  pace: Pace,
): Promise<SteadyLoad> {
  const options: RequestOptions = {};
  await kubeConfig.applyToHTTPSOptions(options);
  const flags: string[] = [];
  for (const [name, flag] of [
    ["ca", "root-certs"],
    ["cert", "cert"],
    ["key", "key"],
  ] as const) {
    const content = options[name];
    if (content === undefined) continue;
    const path = join(folder, name);
    await writeFile(path, content as string | Buffer, { mode: 0o600 });
    flags.push(`-${flag}=${path}`);
  }
  const { name, namespace, ...metadata } = pod.metadata;
  const server = kubeConfig.getCurrentCluster()?.server ?? "";
  const target = {
    url: new URL(`/api/v1/namespaces/${namespace}/pods?dryRun=All`, server).href,
    headers: { ...(options.headers as Readonly<Record<string, string>> | undefined), ...HEADERS },
    body: JSON.stringify({ ...pod, metadata: { ...metadata, generateName: `${name}-` } }),
  };
  return {
    ...pace,
    targets: [target],
    flags,
    judge: (status, text) => {
      if (status !== 201) return "Failed";
      return !isFiltered || text.includes(FETCHER) ? "Good" : "Unfiltered";
    },
  };
}

/**
 * Reviews of a pod's creation as an API server sends them, to a Service of the cluster itself. Whose certificate answers
 * is not looked at: it changes, and API servers' own calls are what proves it.
 * @param address the Service's, and its name in front of it
 */
export function reviews(host: string, address: string, pod: Manifest, pace: Pace): SteadyLoad {
  const { name, namespace, ...metadata } = pod.metadata;
  const targets = Array.from({ length: OWNERS }, () => {
    const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", name, uid: randomUUID(), controller: true };
    const object = { ...pod, metadata: { ...metadata, namespace, generateName: `${name}-`, ownerReferences: [owner] } };
    const body = {
      apiVersion: "admission.k8s.io/v1",
      kind: "AdmissionReview",
      request: {
        uid: randomUUID(),
        kind: { group: "", version: "v1", kind: "Pod" },
        resource: { group: "", version: "v1", resource: "pods" },
        operation: "CREATE",
        namespace,
        userInfo: { username: "system:serviceaccount:kube-system:replicaset-controller" },
        object,
        oldObject: null,
        dryRun: true,
      },
    };
    return { url: `https://${host}/mutate/namespace`, headers: HEADERS, body: JSON.stringify(body) };
  });
  return {
    ...pace,
    targets,
    flags: ["-insecure", "-http2=false", `-connect-to=${host}:443:${address}:443`],
    judge: (status, text) => {
      if (status !== 200) return "Failed";
      const { response } = JSON.parse(text);
      if (response.allowed !== true) return "Failed";
      return Buffer.from(response.patch ?? "", "base64").includes(FETCHER) ? "Good" : "Unfiltered";
    },
  };
}
