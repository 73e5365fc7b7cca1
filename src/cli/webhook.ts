import { KubeConfig } from "@kubernetes/client-node";
import { Command } from "commander";
import { admit } from "../admission/admission.ts";
import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { envoyDataPlane } from "../dataplanes/envoy.ts";
import { CodedError } from "../error.ts";
import { clusterNamespaces } from "../kube/cluster-namespaces.ts";
import type { NamespaceSource } from "../kube/namespace.ts";
import { namespacesFromFile } from "../kube/namespace-file.ts";
import { createLogger } from "../observe/log.ts";
import { createMetrics } from "../observe/metrics.ts";
import { RegistryClient } from "../oci/client.ts";
import { TagResolver } from "../oci/tag-resolver.ts";
import { startWebhook } from "../webhook/server.ts";
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
Serves POST /mutate over HTTPS, and /livez, /readyz and /metrics on the plain port.
SIGTERM and SIGINT drain: not ready first, then the calls in flight are answered, then exit 0.

Examples:
  $ wasmount webhook --config wasmount.yaml
  $ wasmount webhook --config wasmount.yaml --namespace-file namespaces.yaml   without a cluster
`,
    )
    .action(async (options: WebhookOptions) => {
      try {
        await serve(options);
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
        process.stderr.write(`wasmount webhook: ${error.message}\n`);
        process.exitCode = 2;
      }
    });
}

async function serve(options: WebhookOptions): Promise<void> {
  const config = await loadConfig(options.config);
  const log = createLogger(config.log.level);
  const metrics = createMetrics();
  const namespaces = await openNamespaces(options);
  const registry = new RegistryClient({
    registries: config.registries,
    limits: config.limits,
    userAgent: `wasmount/${version}`,
  });
  const resolver = new TagResolver(registry, config.limits.resolveSeconds * 1000);
  const server = await startWebhook(
    config,
    decider(config, namespaces, reference => resolver.resolve(reference)),
    namespaces.notReady,
    log,
    metrics,
  );
  process.stdout.write(`${JSON.stringify({ port: server.port, plainPort: server.plainPort })}\n`);
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, async () => {
      await server.drain();
      registry.close();
      await namespaces.close();
    });
  }
}

function decider(config: Config, namespaces: NamespaceSource, resolve: Parameters<typeof admit>[4]) {
  return async (pod: Parameters<typeof admit>[0], name: string) => {
    const namespace = await namespaces.get(name);
    if (namespace === null) throw new Error(`namespace ${name} does not exist`);
    return admit(pod, namespace, envoyDataPlane, config, resolve);
  };
}

async function openNamespaces(options: WebhookOptions): Promise<NamespaceSource> {
  if (options.namespaceFile) return namespacesFromFile(options.namespaceFile);
  const kubeConfig = new KubeConfig();
  if (options.kubeconfig) kubeConfig.loadFromFile(options.kubeconfig);
  else kubeConfig.loadFromDefault();
  return clusterNamespaces(kubeConfig);
}
