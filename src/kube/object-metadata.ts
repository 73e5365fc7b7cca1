import { codeOf } from "./api-server.ts";
import { parseJson } from "./body.ts";
import { KubeError } from "./error.ts";

/** What is kept of an object's metadata. */
export interface ObjectMetadata {
  readonly name: string;
  /** "" for an object of the whole cluster. */
  readonly namespace: string;
  readonly resourceVersion: string;
  /** UID of the controlling owner; "" for an object without one. */
  readonly owner: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Only those that were asked for. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** One page of a PartialObjectMetadataList (meta.k8s.io/v1). */
export interface MetadataPage {
  readonly items: readonly ObjectMetadata[];
  readonly resourceVersion: string;
  /** Token of the next page; empty on the last. */
  readonly next: string;
}

/** One watch event about PartialObjectMetadata, with the version to go on from. */
export type MetadataEvent =
  | { readonly type: "set" | "deleted"; readonly item: ObjectMetadata; readonly resourceVersion: string }
  | { readonly type: "bookmark"; readonly resourceVersion: string };

export type KeepAnnotation = (key: string) => boolean;

/** Media types by which API servers leave everything but metadata out. */
export const METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
export const METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/** @throws KubeError Malformed */
export function readPage(value: unknown, keep: KeepAnnotation): MetadataPage {
  const { kind, metadata, items } = members(value, "a list");
  if (kind !== "PartialObjectMetadataList") throw malformed("a list is of another kind");
  const { resourceVersion, continue: next } = members(metadata, "a list's metadata");
  if (items !== undefined && items !== null && !Array.isArray(items)) throw malformed("a list's items are no array");
  return {
    items: (items ?? []).map((item: unknown) => readObject(item, keep)),
    resourceVersion: version(resourceVersion),
    next: next === undefined ? "" : text(next, "a list's continue"),
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

/**
 * One line of a watch.
 * @throws KubeError Malformed; Gone or Refused for an ERROR event
 */
export function readEvent(line: string, keep: KeepAnnotation): MetadataEvent {
  const { type, object } = members(parseJson(line), "a watch event");
  const content = members(object, "a watch event's object");
  if (type === "ERROR") {
    const status = typeof content["code"] === "number" ? content["code"] : 0;
    throw new KubeError(codeOf(status), `the watch ended with status ${status}`);
  }
  const resourceVersion = version(members(content["metadata"], "an object's metadata")["resourceVersion"]);
  switch (type) {
    case "BOOKMARK":
      return { type: "bookmark", resourceVersion };
    case "ADDED":
    case "MODIFIED":
      return { type: "set", item: readObject(object, keep), resourceVersion };
    case "DELETED":
      return { type: "deleted", item: readObject(object, keep), resourceVersion };
    default:
      throw malformed("a watch event is of an unknown type");
  }
}

type Members = Readonly<Record<string, unknown>> & {
  readonly [member in "kind" | "metadata" | "items" | "continue" | "resourceVersion" | "type" | "object"]?: unknown;
} & {
  readonly [member in "name" | "namespace" | "labels" | "annotations"]?: unknown;
} & { readonly [member in "ownerReferences" | "controller" | "uid"]?: unknown };

function members(value: unknown, what: string): Members {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed(`${what} is no object`);
  return value as Members;
}

/** The API server lets one owner at most be the controlling one. */
function controller(owners: unknown): string {
  if (owners === undefined || owners === null) return "";
  if (!Array.isArray(owners)) throw malformed("an object's owners are no array");
  const controlling = owners.map(owner => members(owner, "an owner")).find(owner => owner.controller === true);
  return controlling === undefined ? "" : text(controlling.uid, "an owner's UID");
}

function text(value: unknown, what: string): string {
  if (typeof value !== "string") throw malformed(`${what} is no text`);
  return value;
}

function version(value: unknown): string {
  const written = text(value, "a resourceVersion");
  // "" and "0" would mean any version: going on from them could go back in time.
  if (!/^[1-9]\d{0,30}$/.test(written)) throw malformed("a resourceVersion is no positive number");
  return written;
}

function strings(value: unknown, keep: KeepAnnotation): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {};
  const entries = Object.entries(members(value, "a map")).filter(([key]) => keep(key));
  return Object.fromEntries(entries.map(([key, written]) => [key, text(written, "a map's value")]));
}

function malformed(what: string): KubeError {
  return new KubeError("Malformed", `the API server's answer can't be read: ${what}`);
}
