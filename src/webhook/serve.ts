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
import type { CurrentKeys } from "../plan/keyring.ts";
import { planPacking, planSigning } from "../plan/packing.ts";
import { fixedPolicies } from "../policies/cluster-policies.ts";
import { readPolicyFiles } from "../policies/policy-files.ts";
import type { FoundPolicy } from "../policies/policy-set.ts";
import type { ValidationConfig } from "../validation/validate.ts";
import { admissionApp } from "./app.ts";
import { type Cluster, openCluster, readKubeConfig } from "./cluster.ts";
import { counted } from "./counted-client.ts";
import { mutation, validation } from "./decide.ts";
import { NamespaceRegistries } from "./namespace-registries.ts";
import { openOwnSecrets } from "./own-secrets.ts";
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
  const sign = planSigning();
  const unsigned = { ...config, pack: planPacking() };
  // Opened last: an open watch would keep a process alive that failed to start.
  const cluster = options.namespaceFile
    ? withoutCluster(await namespacesFromFile(options.namespaceFile), registries, files)
    : openCluster(readKubeConfig(options.kubeconfig), config, { registries, files }, log, metrics);
  const started = await start().catch(async error => {
    await cluster.close();
    throw error;
  });
  return {
    port: started.port,
    plainPort: started.plainPort,
    async stop() {
      await Promise.all([started.drain(), cluster.retire()]);
      registries.close();
      await started.close();
      await cluster.close();
    },
  };

  async function start() {
    const own = await openOwnSecrets(config, { ...cluster, log, metrics });
    const { credentials, keyring, close } = own;
    const admission = madeOnce<AdmissionConfig>(({ signer, keys }) => {
      return { ...unsigned, sign: signer && (plan => sign(plan, signer)), keys };
    });
    const validating = madeOnce<ValidationConfig>(({ keys }) => {
      return { ...unsigned, keys: keys.size > 0 ? keys : null };
    });
    const { slotState, kumaSlotState, serviceState } = cluster;
    const dataPlanes = dataPlanesOf({
      istio: config.istio.enabled ? { ...config.istio, slotState } : null,
      kuma: { ...config.kuma, slotState: kumaSlotState },
      consul: { ...config.consul, serviceState },
      named: config.dataPlanes,
    });
    const app = admissionApp(
      {
        mutate: mutation(() => admission(keyring.current()), dataPlanes, cluster),
        validate: validation(() => validating(keyring.current()), dataPlanes, cluster),
      },
      observer(log, metrics, cluster.announce),
      config.listen.maxReviewBytes,
    );
    const notReady = () => keyring.notReady() ?? cluster.namespaces.notReady();
    cluster.stand(() => (keyring.notReady() === null ? keyring.current().keys : null));
    try {
      return { ...(await startWebhook(config, credentials, app, notReady, log, metrics)), close };
    } catch (error) {
      await close();
      throw error;
    }
  }
}

/** What goes with keys, made once for as long as they are the current ones: what is made of a configuration is remembered by it. */
function madeOnce<Made extends object>(make: (keys: CurrentKeys) => Made): (keys: CurrentKeys) => Made {
  const made = new WeakMap<CurrentKeys, Made>();
  return keys => {
    const known = made.get(keys) ?? make(keys);
    made.set(keys, known);
    return known;
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
    kumaSlotState: () => "Installed",
    serviceState: () => "Attached",
    limitsOf: async () => [],
    resolve: (tag, { namespace }) => registries.resolve(tag, namespace),
    policies: policies.current,
    judge: (image, demands, namespace, late) => registries.judge(image, demands, namespace, late),
    announce: () => {},
    stand: () => {},
    retire: async () => {},
    record: () => {},
    server: null,
    close: async () => {},
  };
}
