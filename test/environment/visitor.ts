import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import type { Cluster } from "./cluster/cluster.ts";
import type { Kubectl } from "./kubectl.ts";

export interface Visitor {
  /** The user's name to RBAC. */
  readonly account: { readonly kind: "ServiceAccount"; readonly name: string; readonly namespace: string };
  /** Path of a kubeconfig file. */
  readonly kubeconfig: string;
  readonly token: string;
}

/** Somebody of a namespace who may do nothing, until somebody allows it. */
export async function visitorOf(
  { kubeConfig }: Pick<Cluster, "kubeConfig">,
  kubectl: Kubectl,
  namespace: string,
  folder: string,
): Promise<Visitor> {
  const account = { kind: "ServiceAccount", name: "visitor", namespace } as const;
  await kubectl.apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: account.name, namespace } });
  const token = (await kubectl.run(["create", "token", account.name, "-n", namespace])).trim();
  const kubeconfig = join(folder, "visitor.kubeconfig");
  const cluster = kubeConfig.getCurrentCluster();
  const context = { name: "local", context: { cluster: "local", user: account.name } };
  const authority =
    cluster?.caData === undefined
      ? { "certificate-authority": cluster?.caFile }
      : { "certificate-authority-data": cluster.caData };
  await writeFile(
    kubeconfig,
    stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "local", cluster: { server: cluster?.server, ...authority } }],
      users: [{ name: account.name, user: { token } }],
      contexts: [context],
      "current-context": "local",
    }),
  );
  return { account, kubeconfig, token };
}
