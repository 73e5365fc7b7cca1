import { Command, Option } from "commander";
import { CodedError } from "../error.ts";
import type { Output } from "../inject/output.ts";
import { DATA_PLANE_NAMES, type DataPlaneName } from "../plan/plan.ts";
import { printable } from "../printable.ts";
import { version } from "./version.ts";

interface InjectCommandOptions {
  readonly filename: readonly string[];
  readonly namespace: string;
  readonly namespaceFile?: string;
  readonly config?: string;
  readonly fetcherImage: string;
  readonly dataPlane?: DataPlaneName;
  readonly output?: Output;
  readonly review?: true;
  readonly explain?: true;
}

/** Exit codes: 0 injected or skipped, 1 at least one pod is denied, 2 a usage error or input that can't be read. */
const exitCodes = { done: 0, denied: 1, unreadable: 2 } as const;

/** The verb `wasmount inject -f FILE`: what the webhook would make of the pods of some manifests. */
export function injectCommand(): Command {
  return new Command("inject")
    .summary("inject filters into manifests, without a cluster")
    .description(
      "Decides about Pods and the pod templates of Deployments, StatefulSets, DaemonSets, ReplicaSets, Jobs and CronJobs, " +
        "also in Lists, as the webhook would, and prints the manifests with what it would add. Everything else, comments " +
        "included, is printed as it came.",
    )
    .requiredOption(
      "-f, --filename <file>",
      'manifests in YAML or JSON; "-" is the standard input (repeatable)',
      collect,
    )
    .option("-n, --namespace <name>", "the namespace of manifests that name none", "default")
    .option("--namespace-file <file>", "manifests of the namespaces, for their labels and annotations")
    .option("--config <file>", "the operator's configuration (YAML)")
    .addOption(
      new Option("--fetcher-image <image>", "the fetcher's image, where there is no --config")
        .default(`ghcr.io/wasmount/wasmount:${version}`)
        .conflicts("config"),
    )
    .addOption(
      new Option(
        "--data-plane <name>",
        "the kind of proxy to look for (default: all that the configuration has)",
      ).choices(DATA_PLANE_NAMES),
    )
    .addOption(
      new Option("-o, --output <form>", "the form of the output (default: each file as it came)").choices([
        "yaml",
        "json",
        "patch",
        "review",
      ]),
    )
    .addOption(new Option("--review", "read an AdmissionReview, and print the one that answers it").conflicts("output"))
    .option("--explain", "say of every pod, on the standard error, what was decided and why")
    .addHelpText(
      "after",
      `
A namespace's labels and annotations come from --namespace-file, else from the Namespace among the manifests; a
namespace that is in neither has none. Tags are resolved to digests: that asks their registry, and nothing else does.
Where several documents become JSON they are the items of one List. -o patch prints an array of
{kind, namespace, name, patch}, each patch (RFC 6902) relative to its object; -o review prints an array of
AdmissionReviews, each patch relative to its pod.

Pods are signed for if the configuration has a plan.signingKeyFile; keys of plan.keysSecret stay in their cluster. Templates never are: a signature holds for the pods
of one owner, such as a ReplicaSet, which does not exist yet. In a cluster with a webhook that signs, apply manifests as
they are: it replaces an unsigned fetcher by its own, and refuses it where the namespace is locked.

Where a pod is denied nothing is printed but why, on the standard error (and AdmissionReviews, if they were asked for).

Exit codes: 0 injected or skipped, 1 a pod is denied, 2 wrong usage or input that can't be read.

Examples:
  $ wasmount inject -f web.yaml --explain | kubectl apply -f -
  $ kustomize build . | wasmount inject -f - --namespace-file namespaces.yaml
  $ wasmount inject -f web.yaml --config wasmount.yaml -o patch | jq '.[].patch'
  $ wasmount inject --review -f review.json --namespace-file namespaces.yaml
`,
    )
    .action(async (options: InjectCommandOptions) => {
      const { runInject } = await import("../inject/run.ts");
      try {
        const { text, messages, denied } = await runInject({
          files: options.filename,
          stdin: process.stdin,
          namespace: options.namespace,
          namespaceFile: options.namespaceFile ?? null,
          config: options.config ?? null,
          fetcherImage: options.fetcherImage,
          dataPlane: options.dataPlane ?? null,
          output: options.output ?? "same",
          review: options.review ?? false,
          explain: options.explain ?? false,
          userAgent: `wasmount/${version}`,
        });
        for (const message of messages) process.stderr.write(`${message}\n`);
        process.stdout.write(text);
        process.exitCode = denied ? exitCodes.denied : exitCodes.done;
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
        process.stderr.write(`wasmount inject: ${printable(error.message)}\n`);
        process.exitCode = exitCodes.unreadable;
      }
    });
}

function collect(file: string, files: readonly string[] | undefined): readonly string[] {
  return [...(files ?? []), file];
}
