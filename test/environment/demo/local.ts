import { mkdtemp, realpath, rename, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Pod } from "../../../src/kube/pod.ts";
import { RegistryClient } from "../../../src/oci/client.ts";
import { moduleImage } from "../../../src/oci/module-image.ts";
import { pushModule } from "../../../src/oci/push-module.ts";
import { parseReference } from "../../../src/oci/reference.ts";
import { flipLastByte } from "../corruption.ts";
import { envoyBinary } from "../envoy.ts";
import { buildExampleFilter, exampleManifest } from "../example.ts";
import { InitContainerError, type PodRunnerOptions, type RunningPod, runPod } from "../pod-runner/pod-runner.ts";
import { freePorts } from "../ports.ts";
import { startRegistry } from "../registry/registry.ts";
import { patchedPod, reviewPod } from "../review.ts";
import { until } from "../until.ts";
import { MAIN, startWebhookProcess, type WebhookProcess } from "../webhook-process.ts";
import type { Cleanup } from "./cleanup.ts";
import { imageOf, type PlacedExample, placedExample } from "./example-pod.ts";
import { detail, objectDiff, paint, type Steps } from "./terminal.ts";

const FETCHER_IMAGE = "registry.example/wasmount:demo";
const HEADER = "x-filtered-by";

/** Who asks the webhook about the pod, and what comes of it. */
export interface Creation {
  readonly title: string;
  /** Where the webhook reads namespaces from. */
  namespaces(folder: string): Promise<readonly [flag: string, file: string]>;
  /** Creates the pod. @returns it as admission left it */
  create(pod: Pod, webhook: WebhookProcess): Promise<Pod>;
}

/** The demo itself in the place of an API server. */
export const directCreation: Creation = {
  title: "Create an annotated pod: send its AdmissionReview as an API server would",
  async namespaces(folder) {
    const file = join(folder, "namespace.yaml");
    await writeFile(file, await exampleManifest("namespace"));
    return ["--namespace-file", file];
  },
  async create(pod, { url, ca }) {
    return patchedPod(pod, await reviewPod(url, ca, pod, "shop"));
  },
};

/** The main job with everything on this machine: no root, no container runtime, and no cluster but for its creation. */
export async function localDemo(steps: Steps, cleanup: Cleanup, creation: Creation): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "wasmount-")));
  cleanup.folder(folder);

  const envoy = await steps.run(
    "Find Envoy",
    () => envoyBinary(detail),
    path => path,
  );

  const wasm = join(folder, "response-headers.wasm");
  const bytes = await steps.run(
    "Build a filter from AssemblyScript (manifests/examples/response-headers)",
    () => buildExampleFilter(wasm),
    ({ length }) => `${length} bytes`,
  );

  const registry = await startRegistry();
  cleanup.add("registry", () => registry.close());
  const registries = [{ host: registry.address, plainHttp: true }];
  const reference = `${registry.address}/filters/response-headers:1.0`;
  const image = await moduleImage({ module: bytes, name: "response-headers", layout: "cncf" });
  const client = new RegistryClient({ registries });
  await steps.run(
    "Push it to an OCI registry",
    () => pushModule(client, parseReference(reference), image).finally(() => client.close()),
    ({ digest }) => `${reference} is ${digest}`,
  );

  const webhook = await steps.run(
    "Start the webhook over TLS",
    async () =>
      startWebhookProcess({
        folder: join(folder, "webhook"),
        namespaces: await creation.namespaces(folder),
        config: { fetcher: { image: FETCHER_IMAGE }, volume: { mountPath: join(folder, "pod/wasmount") }, registries },
      }),
    ({ url }) => url,
  );
  cleanup.add("webhook", async () => void (await webhook.stop()));

  const [app = 0, inbound = 0, admin = 0] = await freePorts(3);
  const root = join(folder, "pod");
  const example = await placedExample({ module: reference, ports: { app, envoy: inbound, admin }, root });
  const { pod } = example;
  const patched = await steps.run(
    creation.title,
    () => creation.create(pod, webhook),
    ({ metadata }) => `allowed and patched: plan ${metadata.labels?.["wasmount.dev/plan"]}`,
  );
  process.stdout.write(`${objectDiff(pod, patched)}\n`);

  const images = {
    [FETCHER_IMAGE]: { entrypoint: [process.execPath, MAIN] },
    [imageOf(pod, "app")]: { entrypoint: [process.execPath] },
    [imageOf(pod, "envoy")]: { entrypoint: [envoy] },
  } as const;
  const url = `http://127.0.0.1:${inbound}/`;
  const running = await steps.run(
    "Run the patched pod: the fetcher, then the application and Envoy",
    () => startPod(patched, { root, images, configMaps: example.configMaps }, url),
    () => `${url} answers`,
  );
  cleanup.add("pod", () => running.stop());
  for (const line of logOf(running, "wasmount-fetch")) detail(line);

  await steps.run(
    "Ask for a page through Envoy",
    () => headersOf(url),
    headers => {
      if (headers.get(HEADER) !== "wasmount") throw new Error(`the response has no header ${HEADER}: wasmount`);
      return `${paint("green", `${HEADER}: ${headers.get(HEADER)}`)}, x-frame-options: ${headers.get("x-frame-options")}`;
    },
  );

  await steps.run(
    "Change one byte of the module in the registry, and start the same pod elsewhere",
    async () => {
      registry.corrupt(image.blobs.at(-1)?.digest ?? "", flipLastByte);
      return refusedPod(example, patched, folder, images);
    },
    ({ terminationMessage, exitCode }) =>
      `${paint("red", terminationMessage)} (exit ${exitCode}; Envoy was never started)`,
  );
  return `curl -i ${url}`;
}

/** Runs the patched pod with a fresh volume, which must not get past its init container. */
async function refusedPod(
  example: PlacedExample,
  patched: Pod,
  folder: string,
  images: PodRunnerOptions["images"],
): Promise<InitContainerError> {
  const elsewhere = join(folder, "pod");
  await rename(elsewhere, join(folder, "pod-1"));
  const options = { root: elsewhere, images, configMaps: example.configMaps };
  try {
    await (await runPod(patched, options)).stop();
  } catch (error) {
    if (error instanceof InitContainerError) return error;
    throw error;
  }
  throw new Error("the pod with the changed module was started");
}

async function startPod(pod: Pod, options: PodRunnerOptions, url: string): Promise<RunningPod> {
  const running = await runPod(pod, options);
  let answer = "nothing";
  const isAnswering = async () => {
    answer = await fetch(url).then(({ status }) => String(status), String);
    return answer === "200";
  };
  const logs = () => Object.entries(running.logs()).map(([name, log]) => `--- ${name}\n${log}`);
  const what = () => `${url} to answer 200 and not ${answer}\n${logs().join("\n")}`;
  try {
    await until(what, isAnswering, { seconds: 15, pauseMs: 100 });
    return running;
  } catch (error) {
    await running.stop();
    throw error;
  }
}

async function headersOf(url: string): Promise<Headers> {
  const response = await fetch(url);
  await response.text();
  return response.headers;
}

function logOf(pod: RunningPod, name: string): string[] {
  return (pod.logs()[name] ?? "").trimEnd().split("\n");
}
