import {
  AdmissionregistrationV1Api,
  type KubeConfig,
  type V1MutatingWebhookConfiguration,
  type V1ValidatingWebhookConfiguration,
} from "@kubernetes/client-node";
import { shipped } from "./installation.ts";

/** The two configurations that ship. */
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
  const api = kubeConfig.makeApiClient(AdmissionregistrationV1Api);
  const remove = async () => {
    const absent = (error: { readonly code?: number }) => {
      if (error.code !== 404) throw error;
    };
    await api.deleteMutatingWebhookConfiguration({ name }).catch(absent);
    await api.deleteValidatingWebhookConfiguration({ name }).catch(absent);
  };
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
  await remove();
  await api.createMutatingWebhookConfiguration({ body: mutating });
  await api.createValidatingWebhookConfiguration({ body: validating });
  return remove;
}

async function readConfigurations(): Promise<Configurations> {
  const [mutating, validating] = await shipped("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration");
  return { mutating, validating };
}
