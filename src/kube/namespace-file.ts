import { readFile } from "node:fs/promises";
import { parseAllDocuments } from "yaml";
import { messageOf } from "../error.ts";
import { KubeError } from "./error.ts";
import type { Namespace, NamespaceSource } from "./namespace.ts";

/**
 * Namespaces from a file of Namespace manifests (YAML or JSON, several documents), for a webhook that runs without a
 * cluster behind it. Read once.
 * @throws KubeError BadManifest, naming the file and the document.
 */
export async function namespacesFromFile(path: string): Promise<NamespaceSource> {
  const text = await readFile(path, "utf8").catch(error => {
    throw new KubeError("BadManifest", `can't read the namespaces ${path}: ${messageOf(error)}`, { cause: error });
  });
  const namespaces = new Map<string, Namespace>();
  for (const [index, document] of parseAllDocuments(text).entries()) {
    const place = `${path}, document ${index + 1}`;
    const problem = document.errors[0];
    if (problem) throw new KubeError("BadManifest", `${place}: ${problem.message}`);
    const namespace = readNamespace(document.toJS({ maxAliasCount: 100 }), place);
    namespaces.set(namespace.name, namespace);
  }
  return {
    get: async name => namespaces.get(name) ?? null,
    getNow: async name => namespaces.get(name) ?? null,
    notReady: () => null,
  };
}

function readNamespace(value: unknown, place: string): Namespace {
  const manifest = value as {
    kind?: unknown;
    metadata?: { name?: unknown; labels?: Record<string, string> | null; annotations?: Record<string, string> | null };
  } | null;
  const name = manifest?.metadata?.name;
  if (manifest?.kind !== "Namespace" || typeof name !== "string") {
    throw new KubeError("BadManifest", `${place}: expected kind Namespace with a metadata.name`);
  }
  return { name, labels: manifest.metadata?.labels ?? {}, annotations: manifest.metadata?.annotations ?? {} };
}
