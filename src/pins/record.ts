import { createHash } from "node:crypto";
import type { Reference } from "../oci/reference.ts";
import { PinError } from "./error.ts";

/** Whose pods run one digest of a tag: those of one controlling owner in one namespace. */
export interface PinOwner {
  readonly namespace: string;
  /** The owner's UID, as `ownerIdOf` writes it. */
  readonly id: string;
}

/** What a tag meant when the first pod of its owner asked. */
export interface Pin {
  /** "registry/repository:tag". */
  readonly reference: string;
  readonly digest: string;
  /** ISO 8601. */
  readonly pinned: string;
}

/** All pins of one owner: one ConfigMap. */
export interface PinRecord {
  readonly owner: PinOwner;
  /** When a pod last got a digest from here, in milliseconds since 1970. Behind by up to the time between touches. */
  readonly used: number;
  /** By {@link pinKey}. */
  readonly pins: ReadonlyMap<string, Pin>;
  /** The version that was read, which is the only one that a write replaces; null for a record that is to be created. */
  readonly version: string | null;
}

/** An owner has one pod template, which has few filters; a rolled-out one is another owner. */
export const PINS_PER_OWNER = 64;

export const PIN_LABELS = {
  record: "wasmount.dev/pins",
  namespace: "wasmount.dev/pins-namespace",
  shard: "wasmount.dev/pins-shard",
} as const;
export const PIN_ANNOTATIONS = { owner: "wasmount.dev/pins-owner", used: "wasmount.dev/pins-used" } as const;

/** The name of an owner's ConfigMap. Owners are their pods' authors' text: 128 bits keep them from meeting on purpose. */
export function recordName({ namespace, id }: PinOwner): string {
  return `wasmount-pins-${sha256(`${namespace}\n${id}`).slice(0, 32)}`;
}

/** The 1/256 of its namespace's records that an owner's counts among. */
export function shardOf(owner: PinOwner): string {
  return recordName(owner).slice(-2);
}

/** The one spelling of a tag that is pinned. */
export function taggedName({ registry, repository, tag }: Pick<Reference, "registry" | "repository" | "tag">): string {
  return `${registry}/${repository}:${tag ?? "latest"}`;
}

/** Under what a tag is pinned: a ConfigMap's keys can't hold the tag itself. */
export function pinKey(reference: string): string {
  return sha256(reference);
}

/**
 * The record that is used now and has one pin more, or the same ones: the first digest of a tag stays.
 * @param before what was read; null where there was nothing
 * @param now milliseconds since 1970
 * @throws PinError Full
 */
export function withPin(
  owner: PinOwner,
  before: PinRecord | null,
  { reference, digest }: Pick<Pin, "reference" | "digest">,
  now: number,
): PinRecord {
  const key = pinKey(reference);
  const pins = new Map(before?.pins);
  if (!pins.has(key)) {
    if (pins.size >= PINS_PER_OWNER) throw fullOf(owner);
    pins.set(key, { reference, digest, pinned: new Date(now).toISOString() });
  }
  return { owner, used: now, pins, version: before?.version ?? null };
}

/** @throws PinError Full where there is no room for another pin */
export function refuseFull(record: PinRecord): void {
  if (record.pins.size >= PINS_PER_OWNER) throw fullOf(record.owner);
}

function fullOf({ namespace, id }: PinOwner): PinError {
  const whose = `the pods of owner ${id} in namespace ${namespace}`;
  return new PinError(
    "Full",
    `${whose} have ${PINS_PER_OWNER} pinned tags, and may have no more: write digests (@sha256:…)`,
  );
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
