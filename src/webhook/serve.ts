import { readFile } from "node:fs/promises";
import { KubeConfig } from "@kubernetes/client-node";
import { type AdmissionConfig, admit, type ResolveTag } from "../admission/admission.ts";
import { PREFIX } from "../admission/key.ts";
import { ConfigError } from "../config/error.ts";
import { loadConfig } from "../config/load.ts";
import { envoyDataPlane } from "../dataplanes/envoy.ts";
import { messageOf } from "../error.ts";
import { KubeError } from "../kube/error.ts";
import type { NamespaceSource } from "../kube/namespace.ts";
import { namespaceCache } from "../kube/namespace-cache.ts";
import { namespacesFromFile } from "../kube/namespace-file.ts";
import { createLogger } from "../observe/log.ts";
import { createMetrics, type Metrics } from "../observe/metrics.ts";
import { RegistryClient } from "../oci/client.ts";
import { TagResolver } from "../oci/tag-resolver.ts";
import { type PlanSigner, readSigner } from "../plan/signature.ts";
import type { Decide } from "./app.ts";
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
  const registry = new RegistryClient({
    registries: config.registries,
    limits: config.limits,
    userAgent: options.userAgent,
  });
  const resolver = new TagResolver(registry, config.limits.resolveSeconds * 1000);
  const signer = await readSigningKey(config.plan.signingKeyFile);
  if (signer === null) log.warn("plans are not signed: set plan.signingKeyFile");
  // Opened last: an open watch would keep a process alive that failed to start.
  const namespaces = await openNamespaces(options, metrics);
  const decide = decider({ ...config, signer }, namespaces, reference => resolver.resolve(reference));
  const server = await startWebhook(config, decide, namespaces.notReady, log, metrics).catch(async error => {
    await namespaces.close();
    throw error;
  });
  return {
    port: server.port,
    plainPort: server.plainPort,
    async stop() {
      await server.drain();
      registry.close();
      await namespaces.close();
    },
  };
}

/** @throws ConfigError Unusable, naming the setting. */
async function readSigningKey(path: string | null): Promise<PlanSigner | null> {
  if (path === null) return null;
  try {
    return readSigner(await readFile(path, "utf8"));
  } catch (error) {
    throw new ConfigError("Unusable", `can't use plan.signingKeyFile ${path}: ${messageOf(error)}`, { cause: error });
  }
}

function decider(config: AdmissionConfig, namespaces: NamespaceSource, resolve: ResolveTag): Decide {
  return async (pod, name) => {
    const namespace = await namespaces.get(name);
    if (namespace === null) throw new KubeError("NoNamespace", `namespace ${name} does not exist`);
    return admit(pod, namespace, envoyDataPlane, config, resolve);
  };
}

async function openNamespaces({ namespaceFile, kubeconfig }: ServeOptions, metrics: Metrics): Promise<NamespaceSource> {
  if (namespaceFile) return namespacesFromFile(namespaceFile);
  const kubeConfig = new KubeConfig();
  try {
    if (kubeconfig) kubeConfig.loadFromFile(kubeconfig);
    else kubeConfig.loadFromDefault();
  } catch (error) {
    const which = kubeconfig ? `--kubeconfig ${kubeconfig}` : "the default kubeconfig";
    throw new KubeError("BadKubeconfig", `can't use ${which}: ${messageOf(error)}`, { cause: error });
  }
  const cache = namespaceCache(kubeConfig, {
    keep: key => key.startsWith(PREFIX),
    interrupted: reason => metrics.interrupted("namespaces", reason),
  });
  metrics.watch("namespaces", cache);
  return cache;
}
