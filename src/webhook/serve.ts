import { createPublicKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import { KubeConfig } from "@kubernetes/client-node";
import { type AdmissionConfig, admit, type ResolveTag } from "../admission/admission.ts";
import { type Entry, entryOf } from "../admission/entry.ts";
import { PREFIX } from "../admission/key.ts";
import type { Config } from "../config/config.ts";
import { ConfigError } from "../config/error.ts";
import { loadConfig } from "../config/load.ts";
import { envoyDataPlane } from "../dataplanes/envoy.ts";
import { messageOf } from "../error.ts";
import { KubeError } from "../kube/error.ts";
import type { Namespace, NamespaceSource } from "../kube/namespace.ts";
import { namespaceCache } from "../kube/namespace-cache.ts";
import { namespacesFromFile } from "../kube/namespace-file.ts";
import { createLogger } from "../observe/log.ts";
import { createMetrics, type Metrics } from "../observe/metrics.ts";
import { observer } from "../observe/observer.ts";
import { RegistryClient } from "../oci/client.ts";
import { TagResolver } from "../oci/tag-resolver.ts";
import { type PlanKeys, type PlanSigner, readPlanKeys, readSigner } from "../plan/signature.ts";
import { admissionApp, type Decide } from "./app.ts";
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
  const { signer, keys } = await readKeys(config.plan);
  if (signer === null) log.warn("plans are not signed: set plan.signingKeyFile");
  // Opened last: an open watch would keep a process alive that failed to start.
  const namespaces = await openNamespaces(options, metrics);
  const mutate = mutation({ ...config, signer, keys }, namespaces, reference => resolver.resolve(reference));
  const app = admissionApp(
    { mutate },
    observer(log, metrics, () => {}),
  );
  const server = await startWebhook(config, app, namespaces.notReady, log, metrics).catch(async error => {
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

/** Calls a reader of a key file's text. @throws ConfigError Unusable, naming the setting. */
async function readKeyFile<Key>(setting: string, path: string, read: (pem: string) => Key): Promise<Key> {
  try {
    return read(await readFile(path, "utf8"));
  } catch (error) {
    throw new ConfigError("Unusable", `can't use ${setting} ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** The keys of plans: the one that signs, and all whose signatures count. */
async function readKeys({ signingKeyFile, verificationKeyFiles }: Config["plan"]): Promise<{
  readonly signer: PlanSigner | null;
  readonly keys: PlanKeys;
}> {
  const signer = signingKeyFile === null ? null : await readKeyFile("plan.signingKeyFile", signingKeyFile, readSigner);
  const own = signer ? [[signer.keyId, createPublicKey(signer.key)] as const] : [];
  const others = await Promise.all(
    verificationKeyFiles.map(path => readKeyFile("plan.verificationKeyFiles", path, pem => [...readPlanKeys([pem])])),
  );
  return { signer, keys: new Map([...own, ...others.flat()]) };
}

/** Decides by the namespace's labels; where another entry was called than they ask for, they are read anew. */
function mutation(config: AdmissionConfig, namespaces: NamespaceSource, resolve: ResolveTag): Decide {
  return async ({ pod, namespace: name, entry }) => {
    const namespace = await namespaceOf(name, entry, namespaces);
    return admit(pod, namespace, envoyDataPlane, config, resolve);
  };
}

async function namespaceOf(name: string, entry: Entry, namespaces: NamespaceSource): Promise<Namespace> {
  const held = await namespaces.get(name);
  const namespace = held !== null && entryOf(held) === entry ? held : await namespaces.getNow(name);
  if (namespace === null) throw new KubeError("NoNamespace", `namespace ${name} does not exist`);
  return namespace;
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
