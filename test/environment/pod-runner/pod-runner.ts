import { mkdir } from "node:fs/promises";
import type { Container, Pod } from "../../../src/kube/pod.ts";
import { ContainerProcess, type Image } from "./process.ts";
import { type ConfigMaps, PodVolumes } from "./volumes.ts";

export interface PodRunnerOptions {
  /** A folder of the pod's own: its mount paths lie below it, as its volumes do. */
  readonly root: string;
  /** What each image of the pod runs. */
  readonly images: Readonly<Record<string, Image>>;
  readonly configMaps: ConfigMaps;
}

/** An init container ended with another code than 0: no other container was started. */
export class InitContainerError extends Error {
  readonly container: string;
  readonly exitCode: number;
  readonly log: string;

  constructor(container: string, exitCode: number, log: string) {
    super(`init container ${container} exited with ${exitCode}`);
    this.container = container;
    this.exitCode = exitCode;
    this.log = log;
  }

  /** What `kubectl describe pod` would show by FallbackToLogsOnError: the log's last line. */
  get terminationMessage(): string {
    return this.log.trimEnd().split("\n").at(-1) ?? "";
  }
}

export interface RunningPod {
  /** Logs of every container by name, those of init containers included. */
  readonly logs: () => Readonly<Record<string, string>>;
  /** The names of containers that run now. */
  readonly running: () => readonly string[];
  readonly stop: () => Promise<void>;
}

/**
 * Runs a pod as local processes: init containers one after the other, native sidecars and containers side by side.
 * Nothing isolates them: no users, no cgroups, no namespaces; a security context means nothing here.
 * @throws InitContainerError
 */
export async function runPod(pod: Pod, options: PodRunnerOptions): Promise<RunningPod> {
  await mkdir(options.root, { recursive: true });
  const volumes = new PodVolumes(options.root);
  await volumes.create(pod, options.configMaps);
  const processes: ContainerProcess[] = [];
  const stop = async () => {
    await Promise.all(processes.map(process => process.stop()));
  };
  const start = async (container: Container): Promise<ContainerProcess> => {
    const image = options.images[container.image ?? ""];
    if (image === undefined) throw new Error(`no program stands for image ${container.image}`);
    await volumes.mount(container);
    const started = new ContainerProcess(container, image, pod.metadata.name ?? "pod", options.root);
    processes.push(started);
    return started;
  };
  try {
    for (const container of pod.spec.initContainers ?? []) {
      const process = await start(container);
      if (container.restartPolicy === "Always") continue;
      const code = await process.exited();
      if (code !== 0) throw new InitContainerError(container.name, code, process.log);
    }
    for (const container of pod.spec.containers) await start(container);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    logs: () => Object.fromEntries(processes.map(({ name, log }) => [name, log])),
    running: () => processes.filter(({ running }) => running).map(({ name }) => name),
    stop,
  };
}
