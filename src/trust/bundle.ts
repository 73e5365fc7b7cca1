import { type Bundle, bundleFromJSON, isBundleWithDsseEnvelope } from "@sigstore/bundle";
import type { Envelope } from "@sigstore/protobuf-specs";
import { TrustError } from "./error.ts";
import { object } from "./payload.ts";
import { PAYLOAD_TYPE } from "./statement.ts";

/** A bundle with a statement in it. */
export interface StatementBundle {
  readonly bundle: Bundle;
  /** Whether a certificate came with it, or only a hint at a key. */
  readonly isKeyless: boolean;
  /** The statement's bytes. */
  readonly payload: Buffer;
  /** The bytes that were signed. */
  readonly signed: Buffer;
  readonly signature: Buffer;
}

/**
 * Reads a Sigstore bundle that signs an image: an in-toto statement in a DSSE envelope with one signature.
 * @throws {TrustError} BadEvidence
 */
export function readBundle(bytes: Buffer): StatementBundle {
  const document = object(bytes, "the bundle");
  let bundle: Bundle;
  try {
    bundle = bundleFromJSON(document);
  } catch {
    // The library's message repeats the stranger's text.
    throw bad("is no Sigstore bundle of version 0.3");
  }
  if (!isBundleWithDsseEnvelope(bundle)) throw bad("signs a file (messageSignature), not an image");
  const { dsseEnvelope } = bundle.content;
  const [signature, ...others] = dsseEnvelope.signatures;
  if (signature === undefined || others.length > 0) throw bad("has not exactly one signature");
  if (dsseEnvelope.payloadType !== PAYLOAD_TYPE) throw bad(`has another payloadType than ${PAYLOAD_TYPE}`);
  return {
    bundle,
    isKeyless: bundle.verificationMaterial.content.$case !== "publicKey",
    payload: dsseEnvelope.payload,
    signed: preAuthEncoding(dsseEnvelope),
    signature: signature.sig,
  };
}

/** DSSE, protocol.md: what is signed of a payload says of which type it is, and where each part ends. */
export function preAuthEncoding({ payloadType, payload }: Pick<Envelope, "payloadType" | "payload">): Buffer {
  const type = Buffer.from(payloadType);
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${payloadType} ${payload.length} `), payload]);
}

function bad(problem: string): TrustError {
  return new TrustError("BadEvidence", `the bundle ${problem}`);
}
