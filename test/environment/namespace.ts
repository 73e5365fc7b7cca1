import { setTimeout as sleep } from "node:timers/promises";
import type { Kubectl } from "./kubectl.ts";

/** The metadata that a test gives a namespace. */
export interface NamespaceMetadata {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Makes a namespace anew and waits until pods can be created in it, which takes a ServiceAccount. */
export async function makeNamespace(kubectl: Kubectl, name: string, metadata: NamespaceMetadata = {}): Promise<void> {
  await kubectl.run(["delete", "namespace", name, "--ignore-not-found"]);
  await kubectl.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name, ...metadata } });
  for (let tries = 0; tries < 150; tries += 1) {
    if (await kubectl.get("serviceaccount", "default", "-n", name).catch(() => null)) return;
    await sleep(200);
  }
  throw new Error(`namespace ${name} has no default ServiceAccount`);
}
