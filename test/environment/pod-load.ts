import { Agent, type RequestOptions, request } from "node:https";
import type { KubeConfig } from "@kubernetes/client-node";

/** What became of the creation of pods. */
export interface LoadResult {
  readonly created: number;
  /** What the API server said of the others. */
  readonly failures: readonly string[];
  /** Created without what was looked for. */
  readonly without: number;
}

export interface Load {
  readonly namespace: string;
  /** The pod's manifest; each is created under a name of its own. */
  readonly pod: object;
  readonly count: number;
  /** How many are under way at the same time. */
  readonly width: number;
  /** What a created pod's JSON must hold. */
  readonly holds: string;
  /** Ends the load before all are created. */
  readonly signal?: AbortSignal;
  /** Told of each that ended. */
  readonly progress?: (ended: number) => void;
}

/** Creates pods with `dryRun=All`: through all of admission, and none of them is stored. */
export async function createPods(kubeConfig: KubeConfig, load: Load): Promise<LoadResult> {
  const server = kubeConfig.getCurrentCluster()?.server ?? "";
  const options: RequestOptions = {};
  await kubeConfig.applyToHTTPSOptions(options);
  const { ca, cert, key } = options;
  const agent = new Agent({ ca, cert, key, keepAlive: true, maxSockets: load.width });
  const url = new URL(`/api/v1/namespaces/${load.namespace}/pods?dryRun=All`, server);
  const failures: string[] = [];
  let created = 0;
  let without = 0;
  let begun = 0;
  const worker = async () => {
    while (begun < load.count && !load.signal?.aborted) {
      begun += 1;
      const { status, text } = await post(url, { ...options, agent }, nameless(load.pod, begun)).catch(error => ({
        status: 0,
        text: String(error),
      }));
      if (status !== 201) failures.push(`${status}: ${text.slice(0, 500)}`);
      else if (text.includes(load.holds)) created += 1;
      else without += 1;
      load.progress?.(created + without + failures.length);
    }
  };
  try {
    await Promise.all(Array.from({ length: load.width }, worker));
  } finally {
    agent.destroy();
  }
  return { created, failures, without };
}

function nameless(pod: object, index: number): string {
  const { metadata } = pod as { readonly metadata: object };
  return JSON.stringify({ ...pod, metadata: { ...metadata, name: `pod-${index}` } });
}

function post(url: URL, options: RequestOptions, body: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { ...options.headers, "content-type": "application/json", accept: "application/json" };
    const outgoing = request(url, { ...options, method: "POST", headers }, response => {
      let text = "";
      response.setEncoding("utf8").on("data", chunk => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      response.on("error", reject);
    });
    outgoing.on("error", reject).end(body);
  });
}
