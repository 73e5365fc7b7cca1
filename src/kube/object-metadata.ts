import { malformed, members, text, type Watched, type WatchedKind } from "./watched-kind.ts";

/** What is kept of an object's metadata. */
export interface ObjectMetadata extends Watched {
  /** UID of the controlling owner; "" for an object without one. */
  readonly owner: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Only those that were asked for. */
  readonly annotations: Readonly<Record<string, string>>;
}

export type KeepAnnotation = (key: string) => boolean;

/** Media types by which API servers leave everything but metadata out. */
export const METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
export const METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/** Objects of any kind, of which only metadata is asked for (PartialObjectMetadata, meta.k8s.io/v1). */
export function metadataKind(keep: KeepAnnotation): WatchedKind<ObjectMetadata> {
  return {
    list: "PartialObjectMetadataList",
    accept: { list: METADATA_LIST, watch: METADATA },
    read: object => readObject(object, keep),
  };
}

/** @throws KubeError Malformed */
export function readObject(value: unknown, keep: KeepAnnotation): ObjectMetadata {
  const metadata = members(members(value, "an object").metadata, "an object's metadata");
  const { name, namespace, resourceVersion, ownerReferences, labels, annotations } = metadata;
  return {
    name: text(name, "an object's name"),
    namespace: text(namespace ?? "", "an object's namespace"),
    resourceVersion: text(resourceVersion ?? "", "an object's resourceVersion"),
    owner: controller(ownerReferences),
    labels: strings(labels, () => true),
    annotations: strings(annotations, keep),
  };
}

/** The API server lets one owner at most be the controlling one. */
function controller(owners: unknown): string {
  if (owners === undefined || owners === null) return "";
  if (!Array.isArray(owners)) throw malformed("an object's owners are no array");
  const controlling = owners.map(owner => members(owner, "an owner")).find(owner => owner.controller === true);
  return controlling === undefined ? "" : text(controlling.uid, "an owner's UID");
}

function strings(value: unknown, keep: KeepAnnotation): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {};
  const entries = Object.entries(members(value, "a map")).filter(([key]) => keep(key));
  return Object.fromEntries(entries.map(([key, written]) => [key, text(written, "a map's value")]));
}
