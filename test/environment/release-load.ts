import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { creations, reviews } from "./admission-load.ts";
import type { Cluster } from "./cluster/cluster.ts";
import { RELEASE_NAMESPACE, type ReleaseStage, replicas } from "./release-stage.ts";
import type { Manifest } from "./stage.ts";
import { type LoadOutcome, type RunningLoad, type SteadyLoad, startLoad } from "./steady-load.ts";
import { until } from "./until.ts";

const SERVICE = "wasmount-webhook";
const MODULE = "wasmount.dev/module.headers";

/**
 * What is asked for a second. An admission is a review that a replica answers: a creation is two of them, one of each
 * side. An API server on the same two cores as everything else creates 70 pods with filters a second at the most (16
 * ms of CPU each, and twice 5 of a replica); so most of the 200 admissions come to the Service as an API server would
 * send them, and a fifth through a real one.
 */
const PACE = {
  creations: { perSecond: 20, width: 16 },
  reviews: { perSecond: 160, width: 32 },
  unrelated: { perSecond: 5, width: 4 },
};

/** What became of everything that was asked for while something was done. */
export interface Meanwhile {
  /** Pods that ask for a filter, created by the API server. */
  readonly created: LoadOutcome;
  /** Reviews of such pods, sent to the Service. */
  readonly reviewed: LoadOutcome;
  /** Pods that have nothing to do with wasmount. */
  readonly unrelated: LoadOutcome;
}

export interface LoadSetting {
  readonly cluster: Cluster;
  readonly stage: ReleaseStage;
  readonly vegeta: string;
  /** Namespace of pods that have nothing to do with wasmount. */
  readonly plain: string;
}

/** Loads a release with admissions while something is done, and a little before and after it. */
export async function meanwhile(
  { cluster, stage, vegeta, plain }: LoadSetting,
  work: () => Promise<unknown>,
): Promise<Meanwhile> {
  const folder = await mkdtemp(join(tmpdir(), "wasmount-load-"));
  const { kubeConfig } = cluster;
  const { pod } = stage.example;
  const { spec } = await stage.kubectl.get<Manifest>("service", SERVICE, "-n", RELEASE_NAMESPACE);
  const host = `${SERVICE}.${RELEASE_NAMESPACE}.svc`;
  const loads: Readonly<Record<keyof Meanwhile, SteadyLoad>> = {
    created: await creations(kubeConfig, folder, pod, true, PACE.creations),
    reviewed: reviews(host, spec.clusterIP, byDigest(pod), PACE.reviews),
    unrelated: await creations(kubeConfig, folder, unrelatedPod(pod, plain), false, PACE.unrelated),
  };
  const running: [keyof Meanwhile, RunningLoad][] = [];
  const outcomes: Partial<Record<keyof Meanwhile, LoadOutcome>> = {};
  try {
    for (const [name, load] of Object.entries(loads) as [keyof Meanwhile, SteadyLoad][]) {
      running.push([name, await startLoad(vegeta, join(folder, name), load)]);
    }
    await more(running);
    await work();
    await more(running);
  } finally {
    await Promise.all(
      running.map(async ([name, load]) => {
        outcomes[name] = await load.stop();
      }),
    );
    await rm(folder, { recursive: true, force: true });
  }
  return outcomes as Meanwhile;
}

/** Waits until each load has had some more answers. */
async function more(running: readonly (readonly [string, RunningLoad])[]): Promise<void> {
  const aims = running.map(([, load]) => load.answered() + 20);
  const isThere = () => running.every(([, load], index) => load.answered() >= (aims[index] ?? 0));
  await until("more answers to each load", isThere, { seconds: 60, pauseMs: 50 });
}

/** With other owners than were ever seen, a tag would be looked up for each: 10 ms of CPU in place of 2. */
function byDigest(pod: Manifest): Manifest {
  const { metadata, ...rest } = pod;
  const [repository] = metadata.annotations[MODULE].split(/:[^:/]*$/);
  const annotations = { ...metadata.annotations, [MODULE]: `${repository}@sha256:${"5f".repeat(32)}` };
  return { ...rest, metadata: { ...metadata, annotations } };
}

function unrelatedPod(pod: Manifest, namespace: string): Manifest {
  const { metadata, ...rest } = pod;
  return { ...rest, metadata: { name: metadata.name, namespace } };
}

/** For people: how much there was. */
export function loadText({ created, reviewed, unrelated }: Meanwhile): string {
  const admissions = Math.round(2 * created.perSecond + reviewed.perSecond);
  const told = ({ good, failures, perSecond }: LoadOutcome) =>
    `${good} (${perSecond.toFixed(0)}/s, ${failures.length} failed)`;
  const parts = `${told(created)} pods with filters, ${told(reviewed)} reviews; ${told(unrelated)} unrelated pods`;
  return `${admissions} admissions a second: ${parts}`;
}

/** Memory (MiB) and CPU seconds of each replica, by its own metrics, and the reviews that it has answered. */
export async function replicaCosts(
  stage: ReleaseStage,
): Promise<readonly { readonly mebibytes: number; readonly cpuSeconds: number; readonly reviews: number }[]> {
  const running = await replicas(stage.kubectl);
  return Promise.all(
    running.map(async ({ status }) => {
      const text = await (await fetch(`http://${status.podIP}:8080/metrics`)).text();
      const values = (name: string) =>
        [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (.+)$`, "gm"))].map(([, value]) => Number(value));
      const sum = (name: string) => values(name).reduce((total, value) => total + value, 0);
      return {
        mebibytes: sum("process_resident_memory_bytes") / 2 ** 20,
        cpuSeconds: sum("process_cpu_seconds_total"),
        reviews: sum("wasmount_admission_duration_seconds_count"),
      };
    }),
  );
}
