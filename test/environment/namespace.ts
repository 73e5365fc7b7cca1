import type { Kubectl } from "./kubectl.ts";
import { until } from "./until.ts";

/** The metadata that a test gives a namespace. */
export interface NamespaceMetadata {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Makes a namespace anew and waits until pods can be created in it, which takes a ServiceAccount. */
export async function makeNamespace(kubectl: Kubectl, name: string, metadata: NamespaceMetadata = {}): Promise<void> {
  await kubectl.run(["delete", "namespace", name, "--ignore-not-found"]);
  await kubectl.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name, ...metadata } });
  const account = () => kubectl.get("serviceaccount", "default", "-n", name);
  await until(`the default ServiceAccount of namespace ${name}`, account, { seconds: 30 });
}
