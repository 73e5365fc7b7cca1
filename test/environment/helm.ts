import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";
import { binaryOf } from "./cluster/binaries.ts";
import { attempt } from "./cluster/command.ts";
import type { Progress } from "./cluster/progress.ts";
import type { Manifest } from "./stage.ts";

export const chartFolder = fileURLToPath(new URL("../../charts/wasmount", import.meta.url));

/** What Helm refused, in its words. */
export class HelmError extends Error {}

/** The real Helm, with nothing of this machine's own settings. */
export class Helm {
  readonly #binary: string;
  readonly #kubeconfig: string | null;

  private constructor(binary: string, kubeconfig: string | null) {
    this.#binary = binary;
    this.#kubeconfig = kubeconfig;
  }

  /** @param kubeconfig of the cluster that it is for; null for templates alone */
  static async open(progress: Progress, kubeconfig: string | null = null): Promise<Helm> {
    return new Helm(await binaryOf("helm", progress), kubeconfig);
  }

  /** Runs a command. @returns its standard output @throws HelmError with what it printed */
  async run(...args: readonly string[]): Promise<string> {
    const settings = this.#kubeconfig === null ? [] : ["--kubeconfig", this.#kubeconfig];
    const env = { PATH: process.env["PATH"], HOME: "/nonexistent" };
    const { status, stdout, stderr } = await attempt(this.#binary, [...settings, ...args], { env });
    if (status !== 0) throw new HelmError(`helm ${args.join(" ")}: ${stderr}\n${stdout}`);
    return stdout;
  }

  /** The chart's manifests, hooks included. @param args such as `--set hostNetwork=true` */
  async template(...args: readonly string[]): Promise<readonly Manifest[]> {
    return manifestsOf(await this.run("template", "wasmount", chartFolder, "--namespace", "wasmount-system", ...args));
  }
}

/** The objects of a YAML stream. @throws Error for a document that is none */
export function manifestsOf(text: string): readonly Manifest[] {
  return parseAllDocuments(text, { merge: true })
    .map(document => {
      if (document.errors[0]) throw document.errors[0];
      return document.toJS() as Manifest;
    })
    .filter(manifest => manifest !== null);
}
