import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Container } from "../../../src/kube/pod.ts";

/** What an image runs, since a process has no image: its entrypoint and its default arguments. */
export interface Image {
  readonly entrypoint: readonly [string, ...string[]];
  readonly command?: readonly string[];
}

const STOP_MS = 5_000;

/** One container, run as a process with the container's command, args and environment, and nothing of ours. */
export class ContainerProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<number>;
  #log = "";

  constructor(container: Container, image: Image, hostname: string, folder: string) {
    this.name = container.name;
    const environment = Object.fromEntries((container.env ?? []).map(({ name, value = "" }) => [name, value]));
    const [program, ...words] = commandLine(container, image, environment);
    if (program === undefined) throw new Error(`container ${container.name} has no command`);
    this.#child = spawn(program, words, {
      cwd: folder,
      env: { PATH: process.env["PATH"] ?? "", HOSTNAME: hostname, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#log += text;
      });
    }
    this.#exited = new Promise(resolve => {
      this.#child.on("error", error => {
        this.#log += `${error.message}\n`;
        resolve(127);
      });
      this.#child.on("close", (code, signal) => resolve(code ?? (signal ? 128 : 1)));
    });
  }

  /** All that the container wrote to stdout and stderr. */
  get log(): string {
    return this.#log;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined;
  }

  exited(): Promise<number> {
    return this.#exited;
  }

  async stop(): Promise<void> {
    if (!this.running) return;
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await Promise.race([gone, sleep(STOP_MS)]);
    if (this.running) this.#child.kill("SIGKILL");
    await this.#exited;
  }
}

/** Command and args as the kubelet combines and expands them (core/v1 Container.command). */
function commandLine(container: Container, image: Image, environment: Record<string, string>): string[] {
  const command = container.command?.length ? container.command : image.entrypoint;
  const fallback = container.command?.length ? [] : (image.command ?? []);
  const args = container.args?.length ? container.args : fallback;
  return [...command, ...args].map(word => expand(word, environment));
}

function expand(word: string, environment: Record<string, string>): string {
  return word.replaceAll(/\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)/g, (found, name: string | undefined) =>
    name === undefined ? "$" : (environment[name] ?? found),
  );
}
