import { isRecord } from "../oci/descriptor.ts";
import { TrustError } from "./error.ts";
import { object } from "./payload.ts";

/** A signature of cosign's older form: the payload's bytes as they are, and what its layer says. */
export interface SimpleSigning {
  readonly format: "simpleSigning";
  readonly payload: Buffer;
  readonly signature: Buffer;
}

/** A Sigstore bundle, as the bytes that were found. */
export interface SigstoreBundle {
  readonly format: "sigstoreBundle";
  readonly bytes: Buffer;
}

export type Signature = SimpleSigning | SigstoreBundle;

/** All that was found about an image. It proves itself: where it was kept since does not matter. */
export interface Evidence {
  readonly signatures: readonly Signature[];
  /** What was there and is no signature that can be read, in words. */
  readonly faults: readonly string[];
}

/** Bytes of evidence as a file. */
export const MAX_STORED = 64 * 1024 * 1024;
const MAX_SIGNATURES = 512;

/** Evidence as a file: what a verdict was made from, for making it again without a registry. */
export function storedEvidence({ signatures, faults }: Evidence): Buffer {
  const stored = signatures.map(signature =>
    signature.format === "simpleSigning"
      ? { payload: signature.payload.toString("base64"), signature: signature.signature.toString("base64") }
      : { bundle: signature.bytes.toString("base64") },
  );
  return Buffer.from(JSON.stringify({ schema: 1, signatures: stored, faults }));
}

/** Reads evidence that was stored. @throws {TrustError} BadEvidence */
export function readEvidence(bytes: Buffer): Evidence {
  if (bytes.length > MAX_STORED) throw bad(`has more than ${MAX_STORED} bytes`);
  const { schema, signatures, faults } = object(bytes, "the stored evidence");
  if (schema !== 1 || !Array.isArray(signatures) || !Array.isArray(faults)) throw bad("is none of this release");
  if (signatures.length > MAX_SIGNATURES) throw bad(`has more than ${MAX_SIGNATURES} signatures`);
  return { signatures: signatures.map(readSignature), faults: faults.map(String) };
}

function readSignature(value: unknown): Signature {
  if (!isRecord(value)) throw bad("holds what is no signature");
  const { payload, signature, bundle } = value;
  if (typeof bundle === "string") return { format: "sigstoreBundle", bytes: Buffer.from(bundle, "base64") };
  if (typeof payload !== "string" || typeof signature !== "string") throw bad("holds what is no signature");
  return {
    format: "simpleSigning",
    payload: Buffer.from(payload, "base64"),
    signature: Buffer.from(signature, "base64"),
  };
}

function bad(problem: string): TrustError {
  return new TrustError("BadEvidence", `the stored evidence ${problem}`);
}
