import type { KubeConfig } from "@kubernetes/client-node";
import { kubeConfigName, loadKubeConfig } from "../kube/kube-config.ts";
import { DiagnosisError } from "./error.ts";

/** Which cluster is meant, as kubectl's flags say it. */
export interface ClusterFlags {
  /** Path; without it $KUBECONFIG, ~/.kube/config, or a pod's own. */
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** @throws DiagnosisError BadKubeconfig */
export function openKubeConfig({ kubeconfig, context }: ClusterFlags): KubeConfig {
  const config = loadKubeConfig(kubeconfig);
  if ("problem" in config) throw new DiagnosisError("BadKubeconfig", config.problem);
  const which = kubeConfigName(kubeconfig);
  if (context !== undefined) {
    const known = config.getContexts().map(({ name }) => name);
    if (!known.includes(context)) {
      const others = known.length === 0 ? "it has none" : `it has ${known.join(", ")}`;
      throw new DiagnosisError("BadKubeconfig", `${which} has no context ${context}: ${others}`);
    }
    config.setCurrentContext(context);
  }
  if (!config.getCurrentCluster()) throw new DiagnosisError("BadKubeconfig", `${which} names no cluster`);
  return config;
}

/** The namespace of the current context, as kubectl takes it. */
export function contextNamespace(config: KubeConfig): string {
  return config.getContextObject(config.getCurrentContext())?.namespace || "default";
}
