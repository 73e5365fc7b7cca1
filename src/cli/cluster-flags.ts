import { type Command, InvalidArgumentError } from "commander";
import type { ClusterView } from "../diagnosis/cluster-view.ts";
import type { ClusterFlags } from "../diagnosis/kube-config.ts";
import type { Terminal } from "../diagnosis/table.ts";
import { CodedError } from "../error.ts";
import { DNS_LABEL } from "../kube/dns-label.ts";
import { printable } from "../printable.ts";
import { version } from "./version.ts";

/** The flags of all verbs that ask a cluster. */
export interface AskingFlags extends ClusterFlags {
  readonly systemNamespace?: string;
  readonly json?: true;
}

export function withClusterFlags(command: Command): Command {
  return command
    .option("--kubeconfig <file>", "the cluster's kubeconfig (default: $KUBECONFIG, else ~/.kube/config)")
    .option("--context <name>", "a context in it (default: its current one)")
    .option(
      "--system-namespace <name>",
      "the namespace that wasmount runs in (default: the registered one)",
      namespaceName,
    )
    .option("--json", "print one JSON document");
}

/** The value of a flag that names a namespace: it becomes part of a URL. */
export function namespaceName(text: string): string {
  if (DNS_LABEL.test(text)) return text;
  throw new InvalidArgumentError("a namespace's name is a DNS label: up to 63 of a-z, 0-9 and -");
}

/** What a verb about a cluster has to work with. */
export interface ClusterVerb {
  readonly cluster: ClusterView;
  /** The namespace of the kubeconfig's context. */
  readonly contextNamespace: string;
  readonly terminal: Terminal;
}

export interface ClusterOutcome {
  readonly text: string;
  readonly json: unknown;
  readonly exitCode: 0 | 1;
}

/** Runs a verb about a cluster: its outcome as text or JSON, an expected failure as one line or document and exit code 2. */
export async function runClusterVerb(
  name: string,
  flags: AskingFlags,
  action: (verb: ClusterVerb) => Promise<ClusterOutcome>,
): Promise<void> {
  const { openKubeConfig, contextNamespace } = await import("../diagnosis/kube-config.ts");
  const { liveCluster } = await import("../diagnosis/live-cluster.ts");
  const { terminalOf } = await import("../diagnosis/table.ts");
  try {
    const kubeConfig = openKubeConfig(flags);
    const outcome = await action({
      cluster: liveCluster(kubeConfig, `wasmount/${version}`),
      contextNamespace: contextNamespace(kubeConfig),
      terminal: terminalOf(process.stdout, process.env),
    });
    process.stdout.write(flags.json ? `${JSON.stringify(outcome.json, null, 2)}\n` : outcome.text);
    process.exitCode = outcome.exitCode;
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const message = printable(error.message);
    if (flags.json) {
      process.stdout.write(`${JSON.stringify({ error: { code: error.code, message: error.message } }, null, 2)}\n`);
    } else {
      process.stderr.write(`wasmount ${name}: ${message}\n`);
    }
    process.exitCode = 2;
  }
}
