import { spawn } from "node:child_process";
import type { Cluster } from "./cluster/cluster.ts";

/** A command that the API server refused, with kubectl's words. */
export class KubectlError extends Error {}

/** kubectl against a cluster: what a user does and sees. */
export class Kubectl {
  readonly #binary: string;
  readonly #kubeconfig: string;

  constructor({ binaries, kubeconfigPath }: Pick<Cluster, "binaries" | "kubeconfigPath">) {
    this.#binary = binaries["kubectl"] ?? "kubectl";
    this.#kubeconfig = kubeconfigPath;
  }

  /** Runs a command. @returns its standard output @throws KubectlError with what it printed. */
  async run(args: readonly string[], input = ""): Promise<string> {
    const child = spawn(this.#binary, ["--kubeconfig", this.#kubeconfig, ...args], { stdio: ["pipe", "pipe", "pipe"] });
    let output = "";
    let complaint = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      complaint += text;
    });
    child.stdin.end(input);
    const outcome = await new Promise<number | string>(resolve => {
      child.on("error", error => resolve(error.message));
      child.on("close", (code, signal) => resolve(code ?? String(signal)));
    });
    if (outcome !== 0) throw new KubectlError(`kubectl ${args.join(" ")}: ${complaint || outcome}`);
    return output;
  }

  apply(...manifests: readonly object[]): Promise<string> {
    return this.run(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items: manifests }));
  }

  async get<Resource>(...args: readonly string[]): Promise<Resource> {
    return JSON.parse(await this.run(["get", ...args, "-o", "json"])) as Resource;
  }
}
