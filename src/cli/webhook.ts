import { Command } from "commander";
import { CodedError } from "../error.ts";
import { version } from "./version.ts";

interface WebhookOptions {
  readonly config: string;
  readonly kubeconfig?: string;
  readonly namespaceFile?: string;
}

export function webhookCommand(): Command {
  return new Command("webhook")
    .description("Serve admission over HTTPS until SIGTERM, then drain.")
    .requiredOption("-c, --config <file>", "the operator's configuration (YAML)")
    .option("--kubeconfig <file>", "cluster to read namespaces from (default: the pod's own, else KUBECONFIG)")
    .option("--namespace-file <file>", "read namespaces from manifests instead of a cluster")
    .addHelpText(
      "after",
      `
Serves POST /mutate/... and /validate/... over HTTPS, and /livez, /readyz and /metrics on the plain port. Prints both ports once it serves.
SIGTERM and SIGINT drain: not ready first, then the calls in flight are answered, then exit 0.

Examples:
  $ wasmount webhook --config wasmount.yaml
  $ wasmount webhook --config wasmount.yaml --namespace-file namespaces.yaml   without a cluster
`,
    )
    .action(async (options: WebhookOptions) => {
      const { serve } = await import("../webhook/serve.ts");
      try {
        const { port, plainPort, stop } = await serve({ ...options, userAgent: `wasmount/${version}` });
        for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, stop);
        process.stdout.write(`${JSON.stringify({ port, plainPort })}\n`);
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
        process.stderr.write(`wasmount webhook: ${error.message}\n`);
        process.exitCode = 2;
      }
    });
}
