import { constants, createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { TrustError } from "./error.ts";

export type HashName = "sha256" | "sha384" | "sha512";
export const HASH_NAMES: readonly HashName[] = ["sha256", "sha384", "sha512"];

/** A key that signatures are verified with. */
export interface PublicKey {
  readonly key: KeyObject;
  /** SHA-256 of the key (SPKI, DER), 64 hex digits: two spellings of one key are one key. */
  readonly spkiHash: string;
  /** null for Ed25519, which hashes by itself. */
  readonly hash: HashName | null;
}

const PEM = /^\s*-----BEGIN PUBLIC KEY-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END PUBLIC KEY-----\s*$/;
const MAX_PEM = 8192;
const RSA_BITS = { least: 2048, most: 8192 } as const;
/** What cosign hashes with for each curve; RSA has SHA-256. */
const CURVE_HASHES: Readonly<Record<string, HashName>> = { prime256v1: "sha256", secp384r1: "sha384" };
const SUPPORTED = "supported are P-256, P-384, Ed25519 and RSA of 2048 to 8192 bits";

/**
 * Reads a public key.
 * @param pem one SPKI block; a private key is refused, not cut to its public half: it would stand in plans
 * @param hash instead of the one that goes with the key
 * @throws {TrustError} BadKey; the message holds nothing of the text
 */
export function readPublicKey(pem: string, hash: HashName | null = null): PublicKey {
  if (pem.length > MAX_PEM || !PEM.test(pem)) throw bad("write one public key in PEM (-----BEGIN PUBLIC KEY-----)");
  let key: KeyObject;
  try {
    key = createPublicKey({ key: pem, format: "pem", type: "spki" });
  } catch {
    throw bad(`it can't be read; ${SUPPORTED}`);
  }
  const natural = naturalHash(key);
  if (natural === null && hash !== null) throw bad("Ed25519 hashes by itself: leave hash out");
  const spkiHash = createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest("hex");
  return { key, spkiHash, hash: hash ?? natural };
}

function naturalHash(key: KeyObject): HashName | null {
  const { namedCurve = "", modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "ed25519":
      return null;
    case "ec": {
      const hash = CURVE_HASHES[namedCurve];
      if (hash === undefined) throw bad(`its curve is ${namedCurve}; ${SUPPORTED}`);
      return hash;
    }
    case "rsa":
    case "rsa-pss":
      if (modulusLength >= RSA_BITS.least && modulusLength <= RSA_BITS.most) return "sha256";
      throw bad(`it is RSA of ${modulusLength} bits; ${SUPPORTED}`);
    default:
      throw bad(`it is of the kind ${key.asymmetricKeyType}; ${SUPPORTED}`);
  }
}

/** Whether a key made a signature: ECDSA in DER, RSA by PKCS #1 v1.5 or PSS (salt as long as the hash), Ed25519. */
export function isSignedBy({ key, hash }: PublicKey, data: Uint8Array, signature: Uint8Array): boolean {
  return schemes(key).some(scheme => {
    try {
      return verify(hash, data, { key, ...scheme }, signature);
    } catch {
      // OpenSSL throws for some signatures that are none.
      return false;
    }
  });
}

type Scheme = { readonly padding?: number; readonly saltLength?: number; readonly dsaEncoding?: "der" };

const PSS: Scheme = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };

function schemes({ asymmetricKeyType: type }: KeyObject): readonly Scheme[] {
  if (type === "rsa-pss") return [PSS];
  return type === "rsa" ? [{ padding: constants.RSA_PKCS1_PADDING }, PSS] : [{ dsaEncoding: "der" }];
}

function bad(problem: string): TrustError {
  return new TrustError("BadKey", `a key can't be used: ${problem}`);
}
