import { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import { messageOf } from "../error.ts";
import { DiagnosisError } from "./error.ts";

/** Which cluster is meant, as kubectl's flags say it. */
export interface ClusterFlags {
  /** Path; without it $KUBECONFIG, ~/.kube/config, or a pod's own. */
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** @throws DiagnosisError BadKubeconfig */
export function openKubeConfig({ kubeconfig, context }: ClusterFlags): KubeConfig {
  const config = new KubeConfig();
  const which = kubeconfig === undefined ? "the default kubeconfig" : `kubeconfig ${kubeconfig}`;
  try {
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
  } catch (error) {
    throw new DiagnosisError("BadKubeconfig", `can't use ${which}: ${messageOf(error)}`, { cause: error });
  }
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
