import { constants, createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import { bundleToJSON, toDSSEBundle } from "@sigstore/bundle";
import { preAuthEncoding } from "./bundle.ts";
import { REPOSITORY_ANNOTATION, SIGNATURE_PREDICATE } from "./claim.ts";
import { TrustError } from "./error.ts";
import { type HashName, readPublicKey } from "./public-key.ts";
import { PAYLOAD_TYPE, STATEMENT_TYPE } from "./statement.ts";

/** A private key that signs images. */
export interface ImageSigner {
  readonly key: KeyObject;
  readonly hash: HashName | null;
  /** By which cosign's verifier finds a key: SHA-256 of the public half, in base64. */
  readonly hint: string;
}

/** What is said of an image by signing it. */
export interface SignedImage {
  /** "registry.example/team/filter". */
  readonly repository: string;
  readonly digest: string;
  readonly annotations: Readonly<Record<string, string>>;
}

const COSIGN_KEY = /-----BEGIN ENCRYPTED (?:SIGSTORE|COSIGN) PRIVATE KEY-----/;

/**
 * Reads a private key.
 * @param pem PKCS #8, or the older forms that OpenSSL writes
 * @throws {TrustError} BadKey
 */
export function readImageSigner(pem: string, passphrase: string | null): ImageSigner {
  if (COSIGN_KEY.test(pem)) {
    throw new TrustError(
      "BadKey",
      "it is in cosign's own form: make a key with openssl, and give cosign the same one by `cosign import-key-pair`",
    );
  }
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: pem, ...(passphrase === null ? {} : { passphrase }) });
  } catch {
    throw new TrustError("BadKey", "it is no private key in PEM, or its passphrase is another one");
  }
  const { hash, spkiHash } = readPublicKey(createPublicKey(key).export({ type: "spki", format: "pem" }).toString());
  return { key, hash, hint: Buffer.from(spkiHash, "hex").toString("base64") };
}

/** The in-toto statement by which a bundle signs an image: cosign's, with the repository as an annotation. */
export function signatureStatement({ repository, digest, annotations }: SignedImage): Buffer {
  const [, sha256 = ""] = digest.split(":");
  const statement = {
    _type: STATEMENT_TYPE,
    subject: [{ digest: { sha256 }, annotations: { ...annotations, [REPOSITORY_ANNOTATION]: repository } }],
    predicateType: SIGNATURE_PREDICATE,
    predicate: {},
  };
  return Buffer.from(JSON.stringify(statement));
}

/** A Sigstore bundle as cosign writes it, with the repository as an annotation: the bytes of a JSON document. */
export function signedBundle(image: SignedImage, signer: ImageSigner): Buffer {
  const artifact = signatureStatement(image);
  const signature = signatureOf(preAuthEncoding({ payloadType: PAYLOAD_TYPE, payload: artifact }), signer);
  const content = { artifact, artifactType: PAYLOAD_TYPE, signature, keyHint: signer.hint };
  const bundle = toDSSEBundle(content);
  // cosign skips a signature whose keyid is not the one that it makes of the key, and makes none.
  for (const entry of bundle.content.dsseEnvelope.signatures) entry.keyid = "";
  return Buffer.from(JSON.stringify(bundleToJSON(bundle)));
}

/** The payload of cosign's older form, and its signature. */
export function signedPayload(
  { repository, digest, annotations }: SignedImage,
  signer: ImageSigner,
): { readonly payload: Buffer; readonly signature: Buffer } {
  const critical = {
    identity: { "docker-reference": repository },
    image: { "docker-manifest-digest": digest },
    type: "cosign container image signature",
  };
  const optional = Object.keys(annotations).length === 0 ? null : annotations;
  const payload = Buffer.from(JSON.stringify({ critical, optional }));
  return { payload, signature: signatureOf(payload, signer) };
}

function signatureOf(data: Buffer, { key, hash }: ImageSigner): Buffer {
  // PSS has a salt as long as the hash; OpenSSL's own choice would be the longest.
  const salt = key.asymmetricKeyType === "rsa-pss" ? { saltLength: constants.RSA_PSS_SALTLEN_DIGEST } : {};
  return sign(hash, data, { key, ...salt });
}
