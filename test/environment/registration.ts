import { readFile } from "node:fs/promises";
import {
  AdmissionregistrationV1Api,
  type KubeConfig,
  type V1MutatingWebhookConfiguration,
  type V1ValidatingWebhookConfiguration,
} from "@kubernetes/client-node";
import { parseAllDocuments } from "yaml";

const file = new URL("../../manifests/webhooks.yaml", import.meta.url);

/** The manifest's two configurations. */
interface Configurations {
  readonly mutating: V1MutatingWebhookConfiguration;
  readonly validating: V1ValidatingWebhookConfiguration;
}

export interface Registration {
  /** Any URL of the webhook. */
  readonly url: string;
  /** PEM of the authority that signed its certificate. */
  readonly ca: string;
  /** Its configurations are named after it; those of two registrations don't meddle with each other. */
  readonly name?: string;
  /** The namespaces that it is called for; without it, all that its selectors match. */
  readonly namespaces?: readonly string[];
}

/**
 * Makes the API server call a webhook of this machine, by the registration that ships: only its address, and the
 * namespaces where a test shares the cluster with others, are not what a user has.
 */
export async function registerWebhook(
  kubeConfig: KubeConfig,
  { url, ca, name = "wasmount-local", namespaces }: Registration,
): Promise<() => Promise<void>> {
  const { mutating, validating } = await readConfigurations();
  for (const configuration of [mutating, validating]) {
    configuration.metadata = { name };
    for (const webhook of configuration.webhooks ?? []) {
      const path = webhook.clientConfig.service?.path ?? "";
      webhook.clientConfig = { url: new URL(path, url).href, caBundle: Buffer.from(ca).toString("base64") };
      if (namespaces) {
        webhook.namespaceSelector?.matchExpressions?.push({
          key: "kubernetes.io/metadata.name",
          operator: "In",
          values: [...namespaces],
        });
      }
    }
  }
  return create(kubeConfig, name, { mutating, validating });
}

/**
 * Makes the API server call the webhook that runs in the cluster, by the registration as it ships.
 * @param ca PEM of the authority that signed its certificate
 */
export async function registerService(kubeConfig: KubeConfig, ca: string): Promise<() => Promise<void>> {
  const configurations = await readConfigurations();
  for (const { webhooks } of Object.values(configurations)) {
    for (const { clientConfig } of webhooks ?? []) clientConfig.caBundle = Buffer.from(ca).toString("base64");
  }
  return create(kubeConfig, "wasmount", configurations);
}

/** @returns what removes them again */
async function create(
  kubeConfig: KubeConfig,
  name: string,
  { mutating, validating }: Configurations,
): Promise<() => Promise<void>> {
  const api = kubeConfig.makeApiClient(AdmissionregistrationV1Api);
  const remove = async () => {
    const absent = (error: { readonly code?: number }) => {
      if (error.code !== 404) throw error;
    };
    await api.deleteMutatingWebhookConfiguration({ name }).catch(absent);
    await api.deleteValidatingWebhookConfiguration({ name }).catch(absent);
  };
  await remove();
  await api.createMutatingWebhookConfiguration({ body: mutating });
  await api.createValidatingWebhookConfiguration({ body: validating });
  return remove;
}

async function readConfigurations(): Promise<Configurations> {
  const documents = parseAllDocuments(await readFile(file, "utf8"), { merge: true });
  const [mutating, validating] = documents.map(document => document.toJS());
  // Anchors stand for the same object in each place; each webhook is to have its own.
  return JSON.parse(JSON.stringify({ mutating, validating }));
}
