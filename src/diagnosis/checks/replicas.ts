import type { Check, Patient } from "../check.ts";
import { DiagnosisError } from "../error.ts";
import { type Finding, finding } from "../finding.ts";
import { MUTATING } from "../installation.ts";
import type { WebhookConfiguration } from "../webhook-configuration.ts";
import {
  deploymentPath,
  isReady,
  portOf,
  type WebhookDeployment,
  type WebhookPod,
  webhookPods,
} from "../webhook-pods.ts";

const HEALTH_PORT = 8080;
const SAID_CHARACTERS = 300;

/** Do the webhook's pods run, are they ready, and of one release? */
export const replicasCheck: Check = {
  name: "the webhook's replicas",
  async run(patient) {
    const { cluster, installation } = patient;
    const { ownNamespace } = installation;
    const registration = await cluster.get<WebhookConfiguration>(MUTATING);
    // Where no entry calls a Service, the webhook runs outside of the cluster.
    if (!registration?.webhooks?.some(({ clientConfig }) => clientConfig.service !== undefined)) return [];
    const where = `Deployment ${ownNamespace}/wasmount-webhook`;
    const deployment = await cluster.get<WebhookDeployment>(deploymentPath(ownNamespace));
    if (deployment === null) return [finding("DeploymentMissing", where)];
    const pods = await webhookPods(cluster, ownNamespace);
    const { replicas = 1 } = deployment.spec;
    const ready = deployment.status?.readyReplicas ?? 0;
    return [
      ...(ready === 0 ? [finding("ReplicasNotReady", where, `0 of ${replicas} are ready`)] : []),
      ...(replicas === 1 ? [finding("SingleReplica", where)] : []),
      ...versionFindings(deployment, pods, patient, where),
      ...(await Promise.all(pods.map(pod => readinessFindings(patient, pod)))).flat(),
    ];
  },
};

function versionFindings(
  { metadata }: WebhookDeployment,
  pods: readonly WebhookPod[],
  { version }: Patient,
  where: string,
): Finding[] {
  const images = [...new Set(pods.flatMap(({ spec }) => spec.containers.map(({ image = "" }) => image)))];
  const release = metadata.labels?.["app.kubernetes.io/version"];
  return [
    ...(images.length > 1 ? [finding("VersionsDiffer", where, `its pods run ${images.join(" and ")}`)] : []),
    ...(release === undefined || release.replace(/^v/, "") === version
      ? []
      : [finding("VersionsDiffer", where, `it is release ${release}, this command line is ${version}`)]),
  ];
}

/** A replica's own word, through the API server: the kubelet's says no more than that it is not ready. */
async function readinessFindings({ cluster }: Patient, pod: WebhookPod): Promise<readonly Finding[]> {
  const { name, namespace } = pod.metadata;
  const where = `pod ${namespace}/${name}`;
  if (pod.status?.phase !== "Running") {
    return [finding("ReplicaNotReady", where, `its phase is ${pod.status?.phase ?? "unknown"}`)];
  }
  const port = portOf(pod, "health", HEALTH_PORT);
  try {
    const { status, text } = await cluster.text(`/api/v1/namespaces/${namespace}/pods/${name}:${port}/proxy/readyz`);
    const said = text.trim().slice(0, SAID_CHARACTERS);
    if (status === 200) return isReady(pod) ? [] : [finding("ReplicaNotReady", where, "its kubelet says so")];
    // A Status is the API server's, which could not reach the pod.
    if (said.startsWith("{")) return [finding("ReplicaUnreachable", where, `HTTP ${status} for /readyz`)];
    return [finding("ReplicaNotReady", where, said)];
  } catch (error) {
    if (!(error instanceof DiagnosisError)) throw error;
    return [finding("ReplicaUnreachable", where, error.message)];
  }
}
