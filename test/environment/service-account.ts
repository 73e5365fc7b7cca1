import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import type { Cluster } from "./cluster/cluster.ts";
import { shipped } from "./installation.ts";
import { Kubectl } from "./kubectl.ts";
import { makeNamespace } from "./namespace.ts";
import type { Manifest } from "./stage.ts";

const NAME = "wasmount-webhook";

export interface ServiceAccount {
  /** A kubeconfig with the account's token. */
  readonly kubeconfigPath: string;
  readonly remove: () => Promise<void>;
}

/**
 * The webhook's ServiceAccount with the rights that ship, and no others, in a namespace of its own.
 * @param ownNamespace in place of wasmount-system; also what cluster-wide roles are named after
 * @param files where the kubeconfig is written
 */
export async function webhookAccount(cluster: Cluster, ownNamespace: string, files: string): Promise<ServiceAccount> {
  const kubectl = new Kubectl(cluster);
  const manifests = await rights(ownNamespace);
  await makeNamespace(kubectl, ownNamespace);
  await kubectl.apply(...manifests);
  const token = await kubectl.run(["create", "token", NAME, "-n", ownNamespace]);
  const server = cluster.kubeConfig.getCurrentCluster();
  const kubeconfigPath = join(files, "service-account.kubeconfig");
  const kubeconfig = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      { name: "local", cluster: { server: server?.server, "certificate-authority-data": await authority(server) } },
    ],
    users: [{ name: NAME, user: { token: token.trim() } }],
    contexts: [{ name: "local", context: { cluster: "local", user: NAME } }],
    "current-context": "local",
  };
  await writeFile(kubeconfigPath, stringify(kubeconfig), { mode: 0o600 });
  return {
    kubeconfigPath,
    async remove() {
      const wide = manifests.filter(({ kind }) => kind.startsWith("Cluster"));
      for (const { kind, metadata } of wide) await kubectl.run(["delete", kind, metadata.name, "--ignore-not-found"]);
      await kubectl.run(["delete", "namespace", ownNamespace, "--ignore-not-found", "--wait=false"]);
    },
  };
}

async function authority(server: ReturnType<Cluster["kubeConfig"]["getCurrentCluster"]>): Promise<string> {
  if (server?.caData) return server.caData;
  return Buffer.from(await readFile(server?.caFile ?? "")).toString("base64");
}

async function rights(ownNamespace: string): Promise<Manifest[]> {
  return inNamespace(
    await shipped("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"),
    ownNamespace,
  );
}

/**
 * Roles and bindings as they ship, for another namespace than wasmount-system.
 * @param ownNamespace also what cluster-wide roles are named after
 */
export function inNamespace(manifests: readonly Manifest[], ownNamespace: string): Manifest[] {
  const moved: Manifest[] = JSON.parse(JSON.stringify(manifests).replaceAll("wasmount-system", ownNamespace));
  for (const manifest of moved.filter(({ kind }) => kind.startsWith("Cluster"))) {
    manifest.metadata.name = `${ownNamespace}-${manifest.metadata.name}`;
    if (manifest.roleRef) manifest.roleRef.name = `${ownNamespace}-${manifest.roleRef.name}`;
  }
  return moved;
}
