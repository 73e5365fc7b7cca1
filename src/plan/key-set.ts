import { createPublicKey, type KeyObject } from "node:crypto";
import { PlanError } from "./error.ts";
import { type PlanKeys, type PlanSigner, readPlanKeys, readSigner } from "./signature.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** Times in milliseconds. */
export interface KeyTerms {
  /** How long a key signs before another one is made. */
  readonly lifetimeMs: number;
  /** How long a key counts for verification before it signs. */
  readonly publishedMs: number;
  /** How long a key counts for verification after another one signs. */
  readonly countsMs: number;
}

/**
 * A year, as for the authority of certificates. An hour each: a replica that has not heard of the Secret for a minute is not
 * ready, so after an hour all that are asked know the new key; and between a plan's signing and its verification lies one
 * admission, of 30 s at most (plans are signed anew whenever a pod is created, also from a manifest with one in it).
 */
export const KEY_TERMS: KeyTerms = { lifetimeMs: 365 * DAY, publishedMs: 60 * MINUTE, countsMs: 60 * MINUTE };

/** A key of a Secret. */
export interface PlanKey {
  readonly keyId: string;
  /** When it was made, in milliseconds since 1970: whole seconds. */
  readonly made: number;
  readonly key: KeyObject;
}

/** What the Secret of plan-signing keys holds. */
export interface KeySet {
  /** Oldest first. */
  readonly keys: readonly PlanKey[];
  /** Public keys that signed once, by id, oldest first: for whoever verifies the plans of pods that run since then. */
  readonly retired: PlanKeys;
  /** Whether somebody asks for another key. */
  readonly rotate: boolean;
}

/** Of any Secret that is ours: two keys, a third where somebody is impatient. */
const MOST_KEYS = 8;
const MOST_RETIRED = 32;

const NAME = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\.key$/;
/** Written for people, and for `wasmount plan verify --key`: the public halves. */
const VERIFICATION = "verification.pem";
const RETIRED = "retired.pem";

/** Reads the keys of a Secret; what is none is passed over. */
export function readKeySet(data: Readonly<Record<string, string>>, rotate: boolean): KeySet {
  const keys = Object.entries(data)
    .flatMap(([name, pem]) => readKey(name, pem))
    .sort((one, other) => one.made - other.made || (one.keyId < other.keyId ? -1 : 1))
    .slice(-MOST_KEYS);
  return { keys, retired: readRetired(data[RETIRED] ?? ""), rotate };
}

/** The data of a Secret of keys. */
export function keySetData({ keys, retired }: Pick<KeySet, "keys" | "retired">): Readonly<Record<string, string>> {
  const publicKeys = keys.map(({ key }) => publicPem(createPublicKey(key)));
  return {
    ...Object.fromEntries(keys.map(({ made, key }) => [nameOf(made), privatePem(key)])),
    [VERIFICATION]: publicKeys.join(""),
    ...(retired.size === 0 ? {} : { [RETIRED]: [...retired.values()].map(publicPem).join("") }),
  };
}

/** The key that signs: the newest of those that have been published for long enough, or else the oldest there is. */
export function signingKey(keys: readonly PlanKey[], now: number, { publishedMs }: KeyTerms): PlanKey | null {
  return keys.findLast(({ made }) => made + publishedMs <= now) ?? keys[0] ?? null;
}

export function signerOf({ keyId, key }: PlanKey): PlanSigner {
  return { keyId, key };
}

/** All keys whose signatures count. */
export function verificationKeys(keys: readonly PlanKey[]): PlanKeys {
  return new Map(keys.map(({ keyId, key }) => [keyId, createPublicKey(key)]));
}

/** A key that is made now. */
export function planKey(privateKey: KeyObject, now: number): PlanKey {
  const { keyId, key } = readSigner(privatePem(privateKey));
  return { keyId, made: Math.floor(now / 1000) * 1000, key };
}

export type KeyChange = "Missing" | "Restored" | "Due" | "Requested" | "Retired";

/**
 * What is to change in the Secret; null where nothing is.
 * @param held null where there is no Secret
 * @param memory keys that this replica held last
 * @param makeKey asked at most once
 */
export function nextKeySet(
  held: KeySet | null,
  memory: KeySet | null,
  now: number,
  makeKey: () => PlanKey,
  terms: KeyTerms = KEY_TERMS,
): { readonly change: KeyChange; readonly next: Pick<KeySet, "keys" | "retired"> } | null {
  const signer = held === null ? null : signingKey(held.keys, now, terms);
  if (held === null || signer === null) {
    // Plans that are being signed with the keys in memory stay good.
    if (memory !== null && memory.keys.length > 0) return { change: "Restored", next: memory };
    return { change: "Missing", next: { keys: [makeKey()], retired: held?.retired ?? new Map() } };
  }
  const { keys, retired, rotate } = held;
  const isDue = now >= signer.made + terms.lifetimeMs;
  const hasNext = keys.some(({ made }) => made > signer.made && made <= now + terms.publishedMs);
  if ((rotate || isDue) && !hasNext) {
    return { change: rotate ? "Requested" : "Due", next: { keys: [...keys, makeKey()].slice(-MOST_KEYS), retired } };
  }
  // One that was asked for while another one was on its way already.
  if (rotate) return { change: "Requested", next: held };
  const isOver = ({ made }: PlanKey) => made < signer.made && signer.made + terms.publishedMs + terms.countsMs <= now;
  const over = keys.filter(isOver);
  if (over.length === 0) return null;
  const all = [...retired, ...verificationKeys(over)].slice(-MOST_RETIRED);
  return { change: "Retired", next: { keys: keys.filter(key => !isOver(key)), retired: new Map(all) } };
}

function readKey(name: string, pem: string): readonly PlanKey[] {
  const [, year, month, day, hour, minute, second] = NAME.exec(name) ?? [];
  const made = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(made)) return [];
  try {
    const { keyId, key } = readSigner(pem);
    return [{ keyId, made, key }];
  } catch (error) {
    if (error instanceof PlanError) return [];
    throw error;
  }
}

function readRetired(pem: string): PlanKeys {
  try {
    return readPlanKeys([pem]);
  } catch (error) {
    if (error instanceof PlanError) return new Map();
    throw error;
  }
}

function nameOf(made: number): string {
  return `${new Date(made).toISOString().replace(/[-:]|\.\d+/g, "")}.key`;
}

function privatePem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

function publicPem(key: KeyObject): string {
  return key.export({ type: "spki", format: "pem" }).toString();
}
