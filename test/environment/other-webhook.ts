import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { AdmissionregistrationV1Api, type KubeConfig, type V1MutatingWebhook } from "@kubernetes/client-node";
import { createPatch } from "rfc6902";
import { createAuthority, issueServerCertificate } from "../../src/certs/authority.ts";
import type { Manifest } from "./stage.ts";

/** When another webhook is called, compared with ours, and whether it is called again after others changed the pod. */
export const turns = ["before-once", "before-again", "after-once", "after-again"] as const;
export type Turn = (typeof turns)[number];

/** The label of a pod that is the other webhook's, too: the turn that it has. */
const LABEL = "other-webhook.test/turn";

export interface OtherWebhook {
  /** Marks a pod as one that this webhook is called for, and says what it does to it in each of its calls. */
  take(pod: Manifest, turn: Turn, change: (pod: Manifest) => void): void;
  /** How often it was called for a pod of a name. */
  calls(name: string): number;
  /** Takes the registrations back and ends the server. */
  stop(): Promise<void>;
}

/**
 * A mutating webhook of somebody else's, registered beside ours: a mesh, or a tampering peer.
 * @param ours name of our MutatingWebhookConfiguration: the API server goes by the alphabet
 * @param namespace the only one whose pods it is called for
 */
export async function startOtherWebhook(
  kubeConfig: KubeConfig,
  ours: string,
  namespace: string,
): Promise<OtherWebhook> {
  const changes = new Map<string, (pod: Manifest) => void>();
  const called: string[] = [];
  const authority = await createAuthority("another webhook's CA", 1, new Date());
  const leaf = await issueServerCertificate(authority, ["localhost", "127.0.0.1"], 1, new Date());
  const server = createServer({ cert: leaf.certificate, key: leaf.privateKey }, async (request, response) => {
    const { uid, object } = JSON.parse(await text(request)).request;
    called.push(object.metadata.name);
    const changed = structuredClone(object);
    changes.get(object.metadata.name)?.(changed);
    const patch = Buffer.from(JSON.stringify(createPatch(object, changed))).toString("base64");
    response.setHeader("content-type", "application/json");
    response.end(
      JSON.stringify({
        apiVersion: "admission.k8s.io/v1",
        kind: "AdmissionReview",
        response: { uid, allowed: true, patchType: "JSONPatch", patch },
      }),
    );
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const clientConfig = {
    url: `https://127.0.0.1:${port}/`,
    caBundle: Buffer.from(authority.certificate).toString("base64"),
  };
  const api = kubeConfig.makeApiClient(AdmissionregistrationV1Api);
  const configurations = turns.map(turn => ({
    // "a-…" is before any name that starts with another letter, and "…-after-…" after the name that it starts with.
    metadata: { name: turn.startsWith("before") ? `a-${ours}-${turn}` : `${ours}-${turn}` },
    webhooks: [entry(turn, clientConfig, namespace)],
  }));
  const remove = async () => {
    for (const { metadata } of configurations) {
      await api.deleteMutatingWebhookConfiguration(metadata).catch((error: { readonly code?: number }) => {
        if (error.code !== 404) throw error;
      });
    }
  };
  await remove();
  for (const body of configurations) await api.createMutatingWebhookConfiguration({ body });
  return {
    take(pod, turn, change) {
      pod.metadata.labels = { ...pod.metadata.labels, [LABEL]: turn };
      changes.set(pod.metadata.name, change);
    },
    calls: name => called.filter(one => one === name).length,
    async stop() {
      await remove();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function entry(turn: Turn, clientConfig: V1MutatingWebhook["clientConfig"], namespace: string): V1MutatingWebhook {
  return {
    name: `${turn}.other-webhook.test`,
    clientConfig,
    admissionReviewVersions: ["v1"],
    sideEffects: "None",
    failurePolicy: "Fail",
    reinvocationPolicy: turn.endsWith("again") ? "IfNeeded" : "Never",
    rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] }],
    namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
    objectSelector: { matchLabels: { [LABEL]: turn } },
  };
}
