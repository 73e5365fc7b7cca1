import type { AdmissionConfig } from "../admission/admission.ts";
import { loadConfig } from "../config/load.ts";
import { registryOptions } from "../config/registry-options.ts";
import { dataPlanesOf } from "../dataplanes/data-planes.ts";
import type { NamespaceSource } from "../kube/namespace.ts";
import { namespacesFromFile } from "../kube/namespace-file.ts";
import { createLogger } from "../observe/log.ts";
import { createMetrics } from "../observe/metrics.ts";
import { observer } from "../observe/observer.ts";
import { RegistryClient } from "../oci/client.ts";
import { formatReference } from "../oci/reference.ts";
import { planPacking, planSigning } from "../plan/packing.ts";
import { fixedPolicies } from "../policies/cluster-policies.ts";
import { readPolicyFiles } from "../policies/policy-files.ts";
import type { FoundPolicy } from "../policies/policy-set.ts";
import { admissionApp } from "./app.ts";
import { type Cluster, openCluster, readKubeConfig } from "./cluster.ts";
import { counted } from "./counted-client.ts";
import { mutation, validation } from "./decide.ts";
import { NamespaceRegistries } from "./namespace-registries.ts";
import { readPlanKeyring } from "./plan-keys.ts";
import { readRegistryCredentials } from "./registry-credentials.ts";
import { startWebhook } from "./server.ts";

export interface ServeOptions {
  /** Path of the operator's configuration. */
  readonly config: string;
  readonly kubeconfig?: string | undefined;
  /** Manifests to read namespaces from, in place of a cluster. */
  readonly namespaceFile?: string | undefined;
  readonly userAgent: string;
}

export interface Serving {
  readonly port: number;
  readonly plainPort: number;
  /** Answers the calls in flight and ends. */
  stop(): Promise<void>;
}

/**
 * Puts the webhook together and starts it.
 * @throws ConfigError, KubeError, and what listening throws
 */
export async function serve(options: ServeOptions): Promise<Serving> {
  const config = await loadConfig(options.config);
  const log = createLogger(config.log.level);
  const metrics = createMetrics();
  const deadlineMs = config.limits.resolveSeconds * 1000;
  const registry = await registryOptions(config);
  const registries = new NamespaceRegistries({
    credentials: await readRegistryCredentials(config.registryCredentials, config.registries),
    open: credentials =>
      counted(
        new RegistryClient({ ...registry, credentials, deadlineMs, userAgent: options.userAgent }),
        metrics.resolved,
        () => performance.now(),
      ),
    budgetMs: deadlineMs,
    unmatched: config.policy.unmatched,
    unread: (reference, error) =>
      log.warn({ image: formatReference(reference), code: error.code, error: error.message }, "can't read signatures"),
  });
  const files = await readPolicyFiles(config.policy.files);
  const { signer, keys } = await readPlanKeyring(config.plan);
  if (signer === null) log.warn("plans are not signed: set plan.signingKeyFile");
  const sign = planSigning();
  const admission: AdmissionConfig = {
    ...config,
    pack: planPacking(),
    sign: signer && (plan => sign(plan, signer)),
    keys,
  };
  // Opened last: an open watch would keep a process alive that failed to start.
  const cluster = options.namespaceFile
    ? withoutCluster(await namespacesFromFile(options.namespaceFile), registries, files)
    : openCluster(readKubeConfig(options.kubeconfig), config, { registries, files }, log, metrics);
  const { slotState } = cluster;
  const dataPlanes = dataPlanesOf(config.istio.enabled ? { ...config.istio, slotState } : null);
  const app = admissionApp(
    {
      mutate: mutation(admission, dataPlanes, cluster),
      validate: validation({ ...admission, keys: keys.size > 0 ? keys : null }, dataPlanes, cluster),
    },
    observer(log, metrics, cluster.announce),
    config.listen.maxReviewBytes,
  );
  const server = await startWebhook(config, app, cluster.namespaces.notReady, log, metrics).catch(async error => {
    await cluster.close();
    throw error;
  });
  return {
    port: server.port,
    plainPort: server.plainPort,
    async stop() {
      await server.drain();
      registries.close();
      await cluster.close();
    },
  };
}

/** Without a cluster nothing is pinned, nobody told, and what is installed is believed. */
function withoutCluster(
  namespaces: NamespaceSource,
  registries: NamespaceRegistries,
  files: readonly FoundPolicy[],
): Cluster {
  const policies = fixedPolicies(files);
  return {
    namespaces,
    slotState: () => "Installed",
    limitsOf: async () => [],
    resolve: (tag, { namespace }) => registries.resolve(tag, namespace),
    policies: policies.current,
    judge: (image, demands, namespace, late) => registries.judge(image, demands, namespace, late),
    announce: () => {},
    close: async () => {},
  };
}
