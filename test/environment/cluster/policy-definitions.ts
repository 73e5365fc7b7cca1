import { readdir, readFile } from "node:fs/promises";
import { CustomObjectsApi, KubeConfig, PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import { parse } from "yaml";
import { messageOf } from "../../../src/error.ts";
import type { CustomResourceDefinition } from "../../../src/trust/crd.ts";
import { until } from "../until.ts";
import { ClusterError } from "./error.ts";

const folder = new URL("../../../charts/wasmount/files/crds/", import.meta.url);

/**
 * Installs the definitions of policies as they ship, or brings them up to date, and waits until the API server serves
 * policies: a webhook watches them from its start.
 * @throws ClusterError NotReady where the API server refuses them, or does not serve policies in time
 */
export async function installPolicyDefinitions(kubeconfigPath: string): Promise<void> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfigPath);
  // By the types of this client's other class, a definition would lose members whose names are no identifiers.
  const objects = config.makeApiClient(CustomObjectsApi);
  const names = (await readdir(folder)).filter(name => name.endsWith(".yaml"));
  for (const name of names) await install(objects, parse(await readFile(new URL(name, folder), "utf8")));
}

async function install(objects: CustomObjectsApi, definition: CustomResourceDefinition): Promise<void> {
  const { metadata, spec } = definition;
  const place = { group: "apiextensions.k8s.io", version: "v1", plural: "customresourcedefinitions" };
  const change = { ...place, name: metadata.name, body: definition, fieldManager: "wasmount-test", force: true };
  const apply = setHeaderOptions("Content-Type", PatchStrategy.ServerSideApply);
  await objects.patchClusterCustomObject(change, apply).catch(cause => {
    throw new ClusterError("NotReady", `${metadata.name} can't be installed: ${messageOf(cause)}`, { cause });
  });
  const policies = { group: spec.group, version: spec.versions[0].name, plural: spec.names.plural };
  // A definition is Established a little before its objects are served.
  const listed = () => objects.listClusterCustomObject(policies);
  await until(`${metadata.name} to be served`, listed, { seconds: 30, pauseMs: 100 }).catch(cause => {
    throw new ClusterError("NotReady", messageOf(cause), { cause });
  });
}
