import { isObject } from "../admission/review-member.ts";
import { InjectError } from "./error.ts";
import type { ManifestDocument } from "./manifest.ts";

/** A path from the root of a value. */
export type Path = readonly (string | number)[];

/** An object of a document: the document's own, or an item of a List. */
export interface ManifestObject {
  /** Where it stands, for messages. */
  readonly place: string;
  /** Its path in the document. */
  readonly path: Path;
  readonly value: Record<string, unknown>;
}

/** A Pod, or an object whose controller makes pods from a template. */
export interface Workload extends ManifestObject {
  readonly kind: string;
  /** As written, null where it is not. */
  readonly namespace: string | null;
  readonly name: string;
  /** The pod's or its template's path in the object; empty for a Pod. */
  readonly podPath: readonly string[];
}

interface WorkloadKind {
  /** API group, "" for the core. */
  readonly group: string;
  /** What to write where apiVersion is missing. */
  readonly apiVersion: string;
  readonly podPath: readonly string[];
}

const TEMPLATE: readonly string[] = ["spec", "template"];
const apps = { group: "apps", apiVersion: "apps/v1", podPath: TEMPLATE };
const batch = { group: "batch", apiVersion: "batch/v1" };

const kinds: ReadonlyMap<string, WorkloadKind> = new Map<string, WorkloadKind>([
  ["Pod", { group: "", apiVersion: "v1", podPath: [] }],
  ["Deployment", apps],
  ["StatefulSet", apps],
  ["DaemonSet", apps],
  ["ReplicaSet", apps],
  ["Job", { ...batch, podPath: TEMPLATE }],
  ["CronJob", { ...batch, podPath: ["spec", "jobTemplate", ...TEMPLATE] }],
]);

/** The kinds whose pods are looked at. */
export const workloadKinds: readonly string[] = [...kinds.keys()];

/** The objects of a document, those of Lists (v1, also inside each other) one by one. */
export function objectsOf({ value, place }: ManifestDocument): ManifestObject[] {
  return isObject(value) ? listed({ place, path: [], value }) : [];
}

function listed(object: ManifestObject): ManifestObject[] {
  const { value, place, path } = object;
  if (value["kind"] !== "List" || value["apiVersion"] !== "v1") return [object];
  const items = value["items"] ?? [];
  if (!Array.isArray(items)) throw new InjectError("BadObject", `${place}: items of a List must be a list`);
  return items.flatMap((item: unknown, index) => {
    const itemPlace = `${place}, items[${index}]`;
    if (!isObject(item)) throw new InjectError("BadObject", `${itemPlace}: must be an object`);
    return listed({ place: itemPlace, path: [...path, "items", index], value: item });
  });
}

/**
 * Reads an object as a workload, null for all other objects, a kind of the same name in somebody's own API group
 * included.
 * @throws InjectError BadObject for a workload that can't be told apart from others
 */
export function readWorkload(object: ManifestObject): Workload | null {
  const { kind, apiVersion } = object.value;
  const known = typeof kind === "string" ? kinds.get(kind) : undefined;
  if (typeof kind !== "string" || known === undefined) return null;
  if (typeof apiVersion !== "string") {
    throw new InjectError("BadObject", `${object.place}: a ${kind} needs its apiVersion, ${known.apiVersion}`);
  }
  if (groupOf(apiVersion) !== known.group) return null;
  const metadata = object.value["metadata"] ?? {};
  if (!isObject(metadata)) throw new InjectError("BadObject", `${object.place}: metadata must be an object`);
  return {
    ...object,
    kind,
    namespace: optionalName(metadata, "namespace", object.place),
    name: optionalName(metadata, "name", object.place) ?? unnamed(metadata),
    podPath: known.podPath,
  };
}

function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf("/");
  return slash < 0 ? "" : apiVersion.slice(0, slash);
}

function optionalName(metadata: Record<string, unknown>, member: string, place: string): string | null {
  const value = metadata[member];
  if (value === undefined || value === null || value === "") return null;
  if (typeof value === "string") return value;
  throw new InjectError("BadObject", `${place}: metadata.${member} must be a string, quoted where it looks like none`);
}

function unnamed({ generateName }: Record<string, unknown>): string {
  return typeof generateName === "string" ? `${generateName}*` : "(unnamed)";
}
