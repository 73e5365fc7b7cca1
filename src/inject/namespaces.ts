import { isObject } from "../admission/review-member.ts";
import type { Namespace, NamespaceSource } from "../kube/namespace.ts";
import { InjectError } from "./error.ts";
import type { ManifestObject } from "./workload.ts";

/** Looks a namespace up by its name; one that nothing is known of has neither labels nor annotations. */
export type FindNamespace = (name: string) => Promise<Namespace>;

/**
 * Namespaces from a file of them, else those among the objects themselves.
 * @throws InjectError BadObject
 */
export function namespacesOf(file: NamespaceSource | null, objects: readonly ManifestObject[]): FindNamespace {
  const beside = new Map(objects.filter(isNamespace).map(readNamespace));
  return async name => (await file?.get(name)) ?? beside.get(name) ?? { name, labels: {}, annotations: {} };
}

function isNamespace({ value }: ManifestObject): boolean {
  return value["kind"] === "Namespace" && value["apiVersion"] === "v1";
}

function readNamespace({ value, place }: ManifestObject): readonly [string, Namespace] {
  const metadata = value["metadata"];
  if (!isObject(metadata) || typeof metadata["name"] !== "string") {
    throw new InjectError("BadObject", `${place}: a Namespace needs a metadata.name`);
  }
  const name = metadata["name"];
  const labels = strings(metadata["labels"], `${place}: metadata.labels`);
  const annotations = strings(metadata["annotations"], `${place}: metadata.annotations`);
  return [name, { name, labels, annotations }];
}

function strings(value: unknown, place: string): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw new InjectError("BadObject", `${place} of a Namespace must be a map of strings`);
  const wrong = Object.entries(value).find(([, member]) => typeof member !== "string");
  if (wrong === undefined) return value as Record<string, string>;
  throw new InjectError("BadObject", `${place}: ${wrong[0]} must be a string: quote ${JSON.stringify(wrong[1])}`);
}
