import { CoreV1Api, DiscoveryV1Api, KubeConfig } from "@kubernetes/client-node";
import { nodeName } from "./certificates.ts";
import { podNetwork } from "./network.ts";
import { kubeconfigPath, type Settings } from "./settings.ts";

/** What the cluster as a whole still lacks to run pods, in words; null when nothing. */
export async function clusterProblem(settings: Settings): Promise<string | null> {
  if (!settings.binaries["kube-controller-manager"]) return null;
  try {
    const config = new KubeConfig();
    config.loadFromFile(kubeconfigPath());
    const api = config.makeApiClient(CoreV1Api);
    const accounts = await api.listNamespacedServiceAccount({ namespace: "default" });
    if (!accounts.items.some(({ metadata }) => metadata?.name === "default")) {
      return "the namespace default has no ServiceAccount default yet";
    }
    if (!settings.node) return null;
    const nodes = await api.listNode();
    const node = nodes.items.find(({ metadata }) => metadata?.name === nodeName);
    if (!node) return "the node has not registered yet";
    const ready = node.status?.conditions?.find(({ type }) => type === "Ready");
    if (ready?.status !== "True") return `the node is not ready: ${ready?.message ?? "no condition yet"}`;
    const taint = node.spec?.taints?.find(({ effect }) => effect === "NoSchedule" || effect === "NoExecute");
    if (taint) return `the node still has the taint ${taint.key}`;
    const slice = await config
      .makeApiClient(DiscoveryV1Api)
      .readNamespacedEndpointSlice({ namespace: "default", name: "kubernetes" });
    const published = slice.endpoints?.some(({ addresses }) => addresses.includes(podNetwork.gateway));
    return published ? null : "the API server has not published its address to pods yet";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
