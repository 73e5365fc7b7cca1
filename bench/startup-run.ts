import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import type { ApiServer } from "../src/kube/api-server.ts";
import { linesOf } from "../src/kube/body.ts";
import type { Manifest } from "../test/environment/stage.ts";
import { firstContainers, type Kind } from "./startup-pods.ts";

/** The moments of one pod's start, in milliseconds since its creation was asked for. Lines are by containerd's clock. */
export interface Start {
  /** The API server's answer: admitted and stored. */
  readonly createdMs: number;
  /** The first and the last line of the init container before Istio's; null where there is none. */
  readonly first: Span | null;
  readonly istioInit: Span;
  /** The first line of the native sidecar. */
  readonly proxyMs: number;
  /** The watch's event that says Ready. */
  readonly readyMs: number;
  /** What the fetcher itself says of its run; null of other kinds. */
  readonly fetcherMs: number | null;
}

export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

interface Line {
  readonly atMs: number;
  readonly text: string;
}

const PATIENCE_MS = 120_000;
const EVENT_BYTES = 4 * 1024 * 1024;

/** Starts pods one at a time, and leaves none behind. */
export class PodStarter {
  readonly #server: ApiServer;
  readonly #pods: string;
  readonly #now: () => number;

  /** @param now milliseconds of the day, as the node has them: it is this machine */
  constructor(server: ApiServer, namespace: string, now: () => number) {
    this.#server = server;
    this.#pods = `/api/v1/namespaces/${namespace}/pods`;
    this.#now = now;
  }

  /** From a pod's creation to its end. @throws Error where it doesn't get ready, KubeError */
  async start(pod: Manifest, kind: Kind): Promise<Start> {
    const { name } = pod.metadata;
    const signal = AbortSignal.timeout(PATIENCE_MS);
    // Opened before there is a pod, so that no event of it is missed.
    const events = await this.#server.open(
      `${this.#pods}?watch=true&fieldSelector=metadata.name%3D${name}&timeoutSeconds=${2 * (PATIENCE_MS / 1000)}`,
      "application/json",
      signal,
    );
    try {
      const sent = this.#now();
      await this.#server.write({ method: "POST", path: this.#pods, body: pod }, signal);
      const created = this.#now();
      const lines = linesOf(events, EVENT_BYTES);
      const ready = await this.#seen(lines, ({ object }) => isReady(object), `${name} to be ready`);
      const said = (container: string) => this.#said(name, container, signal);
      const first = firstContainers[kind];
      const firstLines = first === null ? null : await said(first);
      const start: Start = {
        createdMs: created - sent,
        first: firstLines === null ? null : spanOf(firstLines, sent),
        istioInit: spanOf(await said("istio-init"), sent),
        proxyMs: spanOf(await said("istio-proxy"), sent).fromMs,
        readyMs: ready - sent,
        fetcherMs: kind === "filtered" ? fetcherTime(firstLines ?? []) : null,
      };
      await this.#server.write({ method: "DELETE", path: `${this.#pods}/${name}`, body: {} }, signal);
      // All of it, so that its end costs the next one nothing.
      await this.#seen(lines, ({ type }) => type === "DELETED", `${name} to be gone`);
      return start;
    } finally {
      events.destroy();
    }
  }

  /** When a watch first said something. */
  async #seen(lines: AsyncGenerator<string>, look: (event: Manifest) => boolean, what: string): Promise<number> {
    for (;;) {
      const { done, value } = await lines.next();
      const at = this.#now();
      if (done) throw new Error(`the watch ended while it waited for ${what}`);
      if (look(JSON.parse(value))) return at;
    }
  }

  async #said(pod: string, container: string, signal: AbortSignal): Promise<readonly Line[]> {
    const path = `${this.#pods}/${pod}/log?container=${container}&timestamps=true&limitBytes=65536`;
    for (;;) {
      const lines = (await text(await this.#server.open(path, "*/*", signal))).trim().split("\n");
      if (lines[0]) return lines.map(timedLine);
      await sleep(100, undefined, { signal });
    }
  }
}

function isReady({ status }: Manifest): boolean {
  return status.conditions?.some((one: Manifest) => one.type === "Ready" && one.status === "True") ?? false;
}

/** The kubelet's form: RFC 3339 with nanoseconds, a space, and the line. */
function timedLine(line: string): Line {
  const space = line.indexOf(" ");
  return { atMs: Date.parse(line.slice(0, space)), text: line.slice(space + 1) };
}

function spanOf(lines: readonly Line[], sent: number): Span {
  return { fromMs: (lines[0]?.atMs ?? Number.NaN) - sent, toMs: (lines.at(-1)?.atMs ?? Number.NaN) - sent };
}

/** src/fetcher/summary.ts. @throws Error where the run failed */
function fetcherTime(lines: readonly Line[]): number {
  const summary = JSON.parse(lines.find(line => line.text.startsWith("{"))?.text ?? "{}");
  if (summary.exitCode !== 0) throw new Error(`the fetcher failed: ${lines.at(-1)?.text}`);
  return summary.seconds * 1000;
}
