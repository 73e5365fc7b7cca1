import { AdmissionregistrationV1Api, type KubeConfig, type V1MutatingWebhook } from "@kubernetes/client-node";

const NAME = "wasmount-local";
const INJECT = "wasmount.dev/inject";

/**
 * Makes the API server call a webhook of this machine for pods that are switched on, by their own label or their
 * namespace's.
 */
export async function registerWebhook(kubeConfig: KubeConfig, url: string, ca: string): Promise<() => Promise<void>> {
  const api = kubeConfig.makeApiClient(AdmissionregistrationV1Api);
  const remove = async () => {
    await api.deleteMutatingWebhookConfiguration({ name: NAME }).catch(error => {
      if (error.code !== 404) throw error;
    });
  };
  const entry = (
    name: string,
    selectors: Pick<V1MutatingWebhook, "namespaceSelector" | "objectSelector">,
  ): V1MutatingWebhook => ({
    name: `${name}.wasmount.dev`,
    admissionReviewVersions: ["v1"],
    clientConfig: { url, caBundle: Buffer.from(ca).toString("base64") },
    rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"], scope: "Namespaced" }],
    failurePolicy: "Fail",
    matchPolicy: "Equivalent",
    reinvocationPolicy: "IfNeeded",
    sideEffects: "None",
    timeoutSeconds: 5,
    ...selectors,
  });
  await remove();
  await api.createMutatingWebhookConfiguration({
    body: {
      metadata: { name: NAME },
      webhooks: [
        entry("namespace", {
          namespaceSelector: { matchExpressions: [{ key: INJECT, operator: "In", values: ["true"] }] },
        }),
        entry("pod", {
          namespaceSelector: { matchExpressions: [{ key: INJECT, operator: "NotIn", values: ["true"] }] },
          objectSelector: { matchExpressions: [{ key: INJECT, operator: "Exists" }] },
        }),
      ],
    },
  });
  return remove;
}
