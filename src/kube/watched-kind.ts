import { codeOf } from "./api-server.ts";
import { parseJson } from "./body.ts";
import { KubeError } from "./error.ts";

/** What tells the objects of a collection, and their versions, apart. */
export interface Watched {
  readonly name: string;
  /** "" for an object of the whole cluster. */
  readonly namespace: string;
  readonly resourceVersion: string;
}

/** A kind of objects as an API server is asked for it, and what is held of each. */
export interface WatchedKind<Held extends Watched> {
  /** The `kind` of a list of them. */
  readonly list: string;
  /** Media types of a list and of a watch. */
  readonly accept: { readonly list: string; readonly watch: string };
  /** @throws KubeError Malformed */
  readonly read: (object: unknown) => Held;
}

/** One page of a list. */
export interface Page<Held extends Watched> {
  readonly items: readonly Held[];
  readonly resourceVersion: string;
  /** Token of the next page; empty on the last. */
  readonly next: string;
}

/** One watch event, with the version to go on from. */
export type WatchEvent<Held extends Watched> =
  | { readonly type: "set" | "deleted"; readonly item: Held; readonly resourceVersion: string }
  | { readonly type: "bookmark"; readonly resourceVersion: string };

/** @throws KubeError Malformed */
export function readPage<Held extends Watched>(value: unknown, kind: WatchedKind<Held>): Page<Held> {
  const { kind: name, metadata, items } = members(value, "a list");
  if (name !== kind.list) throw malformed("a list is of another kind");
  const { resourceVersion, continue: next } = members(metadata, "a list's metadata");
  if (items !== undefined && items !== null && !Array.isArray(items)) throw malformed("a list's items are no array");
  return {
    items: (items ?? []).map((item: unknown) => kind.read(item)),
    resourceVersion: version(resourceVersion),
    next: next === undefined ? "" : text(next, "a list's continue"),
  };
}

/**
 * One line of a watch.
 * @throws KubeError Malformed; Gone or Refused for an ERROR event
 */
export function readEvent<Held extends Watched>(line: string, kind: WatchedKind<Held>): WatchEvent<Held> {
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
      return { type: "set", item: kind.read(object), resourceVersion };
    case "DELETED":
      return { type: "deleted", item: kind.read(object), resourceVersion };
    default:
      throw malformed("a watch event is of an unknown type");
  }
}

type Members = Readonly<Record<string, unknown>> & {
  readonly [member in "kind" | "metadata" | "items" | "continue" | "resourceVersion" | "type" | "object"]?: unknown;
} & {
  readonly [member in "name" | "namespace" | "labels" | "annotations" | "data" | "uid" | "generation"]?: unknown;
} & { readonly [member in "ownerReferences" | "controller"]?: unknown };

/** @throws KubeError Malformed */
export function members(value: unknown, what: string): Members {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed(`${what} is no object`);
  return value as Members;
}

/** @throws KubeError Malformed */
export function text(value: unknown, what: string): string {
  if (typeof value !== "string") throw malformed(`${what} is no text`);
  return value;
}

function version(value: unknown): string {
  const written = text(value, "a resourceVersion");
  // "" and "0" would mean any version: going on from them could go back in time.
  if (!/^[1-9]\d{0,30}$/.test(written)) throw malformed("a resourceVersion is no positive number");
  return written;
}

export function malformed(what: string): KubeError {
  return new KubeError("Malformed", `the API server's answer can't be read: ${what}`);
}
