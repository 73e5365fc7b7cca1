import { Command, Option } from "commander";
import { CodedError } from "../error.ts";
import { DATA_PLANE_NAMES, type DataPlaneName } from "../plan/plan.ts";
import { printable } from "../printable.ts";
import { version } from "./version.ts";

interface AttachCommandOptions {
  readonly filename: readonly string[];
  readonly namespace: string;
  readonly namespaceFile?: string;
  readonly config?: string;
  readonly dataPlane?: DataPlaneName;
  readonly json?: true;
}

/** Exit codes: 0 all objects are printed, 1 those of a pod can't be told, 2 a usage error or input that can't be read. */
const exitCodes = { done: 0, incomplete: 1, unreadable: 2 } as const;

/** The verb `wasmount attach -f FILE`: the objects of a mesh or gateway by which its proxies load the filters of pods. */
export function attachCommand(): Command {
  return new Command("attach")
    .summary("print the objects by which a mesh or gateway loads filters")
    .description(
      "Reads pods as they run, with the proxy that their mesh or gateway gave them, and prints the objects of that platform by " +
        "which the proxy loads the pods' filters from disk: EnvoyFilters of Istio, MeshProxyPatches of Kuma, ServiceDefaults of " +
        "Consul, EnvoyPatchPolicies of Envoy Gateway. Nothing is asked of a cluster or of a registry.",
    )
    .requiredOption(
      "-f, --filename <file>",
      'manifests in YAML or JSON; "-" is the standard input (repeatable)',
      (file: string, files: readonly string[] | undefined) => [...(files ?? []), file],
    )
    .option("-n, --namespace <name>", "the namespace of manifests that name none", "default")
    .option("--namespace-file <file>", "manifests of the namespaces, for their labels and annotations")
    .option("--config <file>", "the operator's configuration (YAML)")
    .addOption(
      new Option(
        "--data-plane <name>",
        "the kind of proxy to look for (default: all that the configuration has)",
      ).choices(DATA_PLANE_NAMES),
    )
    .option("--json", "print a List in JSON in place of YAML documents")
    .addHelpText(
      "after",
      `
The standard error says of each pod which filters it has, in which slots, and what has to be known of the platform
(docs/data-planes.md). Plain Envoy needs no object: admission changes its pods. Those of Istio and Kuma are the chart's, and printed as the
configuration says (--config). An object that has more to say than filters is printed in part: apply it server-side, and by a
manager of its own, or what your own manager wrote into it goes.

Exit codes: 0 all objects are printed, 1 those of a pod can't be told, 2 wrong usage or input that can't be read.

Examples:
  $ kubectl get pod cart-7d9 -n shop -o yaml | wasmount attach --data-plane consul -f - | kubectl apply --server-side --field-manager=wasmount -f -
  $ wasmount attach --data-plane envoy-gateway -f pod.yaml --namespace-file namespaces.yaml
  $ wasmount attach --config wasmount.yaml -f pods.yaml --json | jq -r '.items[] | .kind + "/" + .metadata.name'
`,
    )
    .action(async (options: AttachCommandOptions) => {
      const { runAttach } = await import("../inject/attach.ts");
      try {
        const { text, messages, incomplete } = await runAttach({
          files: options.filename,
          stdin: process.stdin,
          namespace: options.namespace,
          namespaceFile: options.namespaceFile ?? null,
          config: options.config ?? null,
          fetcherImage: `ghcr.io/wasmount/wasmount:${version}`,
          dataPlane: options.dataPlane ?? null,
          json: options.json ?? false,
        });
        for (const message of messages) process.stderr.write(`${message}\n`);
        process.stdout.write(text);
        process.exitCode = incomplete ? exitCodes.incomplete : exitCodes.done;
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
        process.stderr.write(`wasmount attach: ${printable(error.message)}\n`);
        process.exitCode = exitCodes.unreadable;
      }
    });
}
