import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { evaluate, type JudgedImage } from "../../src/trust/evaluation.ts";
import type { Evidence, Signature } from "../../src/trust/evidence.ts";
import type { KeyAuthority, Rule } from "../../src/trust/rule.ts";
import { type ImageSigner, readImageSigner, signedBundle, signedPayload } from "../../src/trust/signing.ts";
import type { Verdict } from "../../src/trust/verdict.ts";

export const DIGEST = `sha256:${"a".repeat(64)}`;
export const OTHER_DIGEST = `sha256:${"b".repeat(64)}`;
export const REPOSITORY = "registry.example/team/filter";

export const image: JudgedImage = {
  registry: "registry.example",
  repository: "team/filter",
  tag: null,
  byDigest: true,
  digests: [DIGEST],
};

/** Both halves of a key as PEM. */
export interface KeyPair {
  readonly publicPem: string;
  readonly signer: ImageSigner;
}

export function pairOf(keys: { readonly publicKey: KeyObject; readonly privateKey: KeyObject }): KeyPair {
  return {
    publicPem: keys.publicKey.export({ type: "spki", format: "pem" }).toString(),
    signer: readImageSigner(keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString(), null),
  };
}

export function p256(): KeyPair {
  return pairOf(generateKeyPairSync("ec", { namedCurve: "P-256" }));
}

/** One key of every kind that is supported. */
export const KINDS: Readonly<Record<string, () => KeyPair>> = {
  "P-256": p256,
  "P-384": () => pairOf(generateKeyPairSync("ec", { namedCurve: "P-384" })),
  Ed25519: () => pairOf(generateKeyPairSync("ed25519")),
  "RSA PKCS #1 v1.5": () => pairOf(generateKeyPairSync("rsa", { modulusLength: 2048 })),
  "RSA PSS": () =>
    pairOf(
      generateKeyPairSync("rsa-pss", {
        modulusLength: 2048,
        hashAlgorithm: "sha256",
        mgf1HashAlgorithm: "sha256",
      }),
    ),
};

interface Said {
  readonly digest?: string;
  readonly repository?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export function bundleBy({ signer }: KeyPair, said: Said = {}): Signature {
  const bytes = signedBundle({ digest: DIGEST, repository: REPOSITORY, annotations: {}, ...said }, signer);
  return { format: "sigstoreBundle", bytes };
}

export function payloadBy({ signer }: KeyPair, said: Said = {}): Signature {
  return {
    format: "simpleSigning",
    ...signedPayload({ digest: DIGEST, repository: REPOSITORY, annotations: {}, ...said }, signer),
  };
}

export function authority(pair: KeyPair, changes: Partial<KeyAuthority> = {}): KeyAuthority {
  return {
    kind: "key",
    name: "release",
    formats: ["simpleSigning", "sigstoreBundle"],
    identity: "MatchRepository",
    annotations: {},
    pem: pair.publicPem,
    hash: null,
    ...changes,
  };
}

export function ruleBy(authorities: Rule["authorities"], changes: Partial<Rule> = {}): Rule {
  return {
    policy: "WasmPolicy/release",
    mode: "Enforce",
    onRegistryError: "Deny",
    requireDigest: false,
    allowedTagPattern: "",
    module: { formats: [], maxBytes: null },
    minimum: 1,
    authorities,
    source: null,
    attestations: [],
    ...changes,
  };
}

export function evidence(...signatures: readonly Signature[]): Evidence {
  return { signatures, faults: [] };
}

/** The verdict of one rule about the sample image. */
export function verdictOf(rule: Rule, found: Evidence, changes: Partial<JudgedImage> = {}): Promise<Verdict> {
  return evaluate([rule], { ...image, ...changes }, () => found, { unmatched: "Deny", stage: "Fetcher" });
}
