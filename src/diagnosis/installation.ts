import { NAMESPACE_NAME, REGISTRATION, SYSTEM_NAMESPACES } from "../admission/registration.ts";
import type { Config } from "../config/config.ts";
import { ConfigError } from "../config/error.ts";
import { defaultConfig, parseConfig } from "../config/load.ts";
import type { ClusterView } from "./cluster-view.ts";
import { DiagnosisError } from "./error.ts";
import type { KubeObject } from "./kube-object.ts";
import type { RegisteredWebhook, WebhookConfiguration } from "./webhook-configuration.ts";

/** Names of what an installation consists of. It is one of its cluster, so that they are fixed. */
export const WEBHOOK = "wasmount-webhook";
export const OWN_NAMESPACE = "wasmount-system";
export const CONFIG_MAP = "wasmount-config";
const CONFIG_KEY = "wasmount.yaml";

export const MUTATING = `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${REGISTRATION}`;
export const VALIDATING = `/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/${REGISTRATION}`;

/** Where wasmount runs, and how it is configured. */
export interface Installation {
  readonly ownNamespace: string;
  /** Whose pods the webhook is never asked about: the registration's, or those that ship where there is none. */
  readonly excluded: readonly string[];
  readonly config: Config;
  /** The fetcher's image, where the operator's configuration could be read. */
  readonly fetcherImage: string | null;
  /** Why the defaults stand for the operator's configuration, else null. */
  readonly configProblem: string | null;
}

/**
 * Finds the installation. People who may read nothing of it get the defaults.
 * @param given the namespace that a flag names
 */
export async function findInstallation(cluster: ClusterView, given: string | undefined): Promise<Installation> {
  const webhooks = (await readable(cluster.get<WebhookConfiguration>(MUTATING)))?.webhooks ?? [];
  const registered = webhooks.map(({ clientConfig }) => clientConfig.service?.namespace).find(Boolean);
  const ownNamespace = given ?? registered ?? OWN_NAMESPACE;
  const excluded = excludedBy(webhooks) ?? [...SYSTEM_NAMESPACES, ownNamespace];
  return { ownNamespace, excluded, ...(await findConfig(cluster, ownNamespace)) };
}

type Configured = Pick<Installation, "config" | "fetcherImage" | "configProblem">;

async function findConfig(cluster: ClusterView, ownNamespace: string): Promise<Configured> {
  const path = `/api/v1/namespaces/${ownNamespace}/configmaps/${CONFIG_MAP}`;
  const found = await readable(cluster.get<KubeObject & { readonly data?: Readonly<Record<string, string>> }>(path));
  const text = found?.data?.[CONFIG_KEY];
  const where = `ConfigMap ${ownNamespace}/${CONFIG_MAP}`;
  const byDefault = (configProblem: string | null) => ({
    config: defaultConfig("wasmount"),
    fetcherImage: null,
    configProblem,
  });
  if (text === undefined) return byDefault(found === null ? null : `${where} has no key ${CONFIG_KEY}`);
  try {
    const config = parseConfig(text, where);
    return { config, fetcherImage: config.fetcher.image, configProblem: null };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return byDefault(error.message);
  }
}

/** The namespaces that all entries leave out by name. */
function excludedBy(webhooks: readonly RegisteredWebhook[]): readonly string[] | null {
  const lists = webhooks.map(({ namespaceSelector }) =>
    (namespaceSelector?.matchExpressions ?? [])
      .filter(({ key, operator }) => key === NAMESPACE_NAME && operator === "NotIn")
      .flatMap(({ values = [] }) => values),
  );
  const [first, ...others] = lists;
  return first?.filter(name => others.every(list => list.includes(name))) ?? null;
}

/** What may not be read is as if it were not there: whoever needs it says so. */
async function readable<Value>(asked: Promise<Value | null>): Promise<Value | null> {
  return asked.catch(error => {
    if (error instanceof DiagnosisError && error.code === "RightMissing") return null;
    throw error;
  });
}
