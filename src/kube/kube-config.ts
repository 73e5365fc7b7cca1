import { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import { messageOf } from "../error.ts";

/**
 * Reads which API server is meant and how it is asked.
 * @param path without it $KUBECONFIG, ~/.kube/config, or the service account of the pod that this runs in
 * @returns the problem, in words, where it can't be used
 */
export function loadKubeConfig(path: string | undefined): KubeConfig | { readonly problem: string } {
  const config = new KubeConfig();
  try {
    if (path === undefined) config.loadFromDefault();
    else config.loadFromFile(path);
    return config;
  } catch (error) {
    return { problem: `can't use ${kubeConfigName(path)}: ${messageOf(error)}` };
  }
}

/** What messages call it. */
export function kubeConfigName(path: string | undefined): string {
  return path === undefined ? "the default kubeconfig" : `--kubeconfig ${path}`;
}
