import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { messageOf } from "../error.ts";
import { PlanError } from "./error.ts";

/** What a signature vouches for: this plan, for pods of this owner in this namespace, and for no others. */
export interface SignedPlan {
  /** The plan's hash, 64 hex digits. */
  readonly hash: string;
  readonly namespace: string;
  /** UID of the pod's controlling owner; "" for a pod without one. */
  readonly owner: string;
}

/** An Ed25519 key that signs plans (RFC 8032). */
export interface PlanSigner {
  readonly keyId: string;
  readonly key: KeyObject;
}

/** The keys whose signatures count: the signing one, and during a rotation the one before or after it. */
export type PlanKeys = ReadonlyMap<string, KeyObject>;

const ALGORITHM = "ed25519";
const PEM_BLOCK = /-----BEGIN [A-Z ]{1,40}-----[^-]*-----END [A-Z ]{1,40}-----/g;

/**
 * Signs a plan. The same plan, owner and key give the same signature (Ed25519 is deterministic), so that a second
 * admission pass finds nothing to change.
 * @returns "<key id>.<signature in base64url>"
 */
export function signPlan(plan: SignedPlan, signer: PlanSigner): string {
  return `${signer.keyId}.${sign(null, message(plan), signer.key).toString("base64url")}`;
}

/**
 * Checks a plan's signature.
 * @returns the id of the key that made it
 * @throws PlanError UnknownKey, BadSignature
 */
export function verifyPlan(plan: SignedPlan, signature: string, keys: PlanKeys): string {
  const [keyId = "", encoded = ""] = signature.split(".", 2);
  const key = keys.get(keyId);
  if (key === undefined) {
    const known = [...keys.keys()].join(", ") || "none";
    throw new PlanError(
      "UnknownKey",
      `the plan is signed by key ${JSON.stringify(keyId.slice(0, 64))}, trusted are ${known}`,
    );
  }
  if (!verify(null, message(plan), key, Buffer.from(encoded, "base64url"))) {
    const subject = `plan ${plan.hash.slice(0, 12)} for owner ${plan.owner || "(none)"} in namespace ${plan.namespace}`;
    throw new PlanError("BadSignature", `the signature is not one of key ${keyId} over ${subject}`);
  }
  return keyId;
}

/** Reads a signing key. @param pem PKCS #8 @throws PlanError BadKey */
export function readSigner(pem: string): PlanSigner {
  const key = readKey(() => createPrivateKey(pem), "a private key in PKCS #8 PEM");
  return { keyId: keyIdOf(createPublicKey(key)), key };
}

/**
 * Reads keys that verify.
 * @param pems each of SPKI blocks, one or more, or of signing keys whose public halves are taken
 * @throws PlanError BadKey
 */
export function readPlanKeys(pems: readonly string[]): PlanKeys {
  const blocks = pems.flatMap(pem => pem.match(PEM_BLOCK) ?? [pem]);
  const keys = blocks.map(pem => readKey(() => createPublicKey(pem), "a public key in SPKI PEM"));
  return new Map(keys.map(key => [keyIdOf(key), key]));
}

function readKey(read: () => KeyObject, expected: string): KeyObject {
  let key: KeyObject;
  try {
    key = read();
  } catch (error) {
    throw new PlanError("BadKey", `expected ${expected}: ${messageOf(error)}`);
  }
  if (key.asymmetricKeyType === ALGORITHM) return key;
  throw new PlanError(
    "BadKey",
    `expected an Ed25519 key, this one is ${key.asymmetricKeyType}: openssl genpkey -algorithm ed25519`,
  );
}

/** The first 16 hex digits of the SHA-256 of the public key (SPKI, DER): enough to tell the keys of a release apart. */
function keyIdOf(key: KeyObject): string {
  return createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest("hex")
    .slice(0, 16);
}

/** No member can hold a line break: a hash, a namespace's DNS label and a UID. */
function message({ hash, namespace, owner }: SignedPlan): Buffer {
  return Buffer.from(`wasmount plan 1\n${hash}\n${namespace}\n${owner}\n`, "utf8");
}
