import type { ClusterView } from "./cluster-view.ts";
import { WEBHOOK } from "./installation.ts";
import type { KubeObject } from "./kube-object.ts";

/** A replica of the webhook. */
export interface WebhookPod extends KubeObject {
  readonly spec: {
    readonly containers: readonly {
      readonly image?: string;
      readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
    }[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  };
}

/** Deployment wasmount-webhook (apps/v1). */
export interface WebhookDeployment extends KubeObject {
  readonly spec: { readonly replicas?: number };
  readonly status?: { readonly readyReplicas?: number };
}

const SELECTOR = "app.kubernetes.io/name=wasmount,app.kubernetes.io/component=webhook";

export function deploymentPath(ownNamespace: string): string {
  return `/apis/apps/v1/namespaces/${ownNamespace}/deployments/${WEBHOOK}`;
}

/** The replicas that run, or are to. */
export async function webhookPods(cluster: ClusterView, ownNamespace: string): Promise<readonly WebhookPod[]> {
  const path = `/api/v1/namespaces/${ownNamespace}/pods`;
  const pods: WebhookPod[] = [];
  for await (const pod of cluster.list<WebhookPod>(path, { labelSelector: SELECTOR })) {
    const ended = pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
    if (!ended && pod.metadata.deletionTimestamp === undefined) pods.push(pod);
  }
  return pods;
}

/** @param fallback the port where no container names one so */
export function portOf({ spec }: WebhookPod, name: string, fallback: number): number {
  const ports = spec.containers.flatMap(container => container.ports ?? []);
  return ports.find(port => port.name === name)?.containerPort ?? fallback;
}

export function isReady({ status }: WebhookPod): boolean {
  return status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") ?? false;
}
