import { TrustedRoot } from "@sigstore/protobuf-specs";
import { TrustError } from "./error.ts";
import { object } from "./payload.ts";

const MAX_ROOT = 256 * 1024;

/**
 * Reads a Sigstore trusted root (`trusted_root.json`). What has no start of validity would be trusted since ever.
 * @throws {TrustError} BadTrustRoot
 */
export function readTrustedRoot(text: string): TrustedRoot {
  if (text.length > MAX_ROOT) throw bad(`has more than ${MAX_ROOT} characters`);
  let root: TrustedRoot;
  try {
    root = TrustedRoot.fromJSON(object(Buffer.from(text), "the trusted root"));
  } catch {
    throw bad("is no trusted_root.json of Sigstore");
  }
  const { certificateAuthorities, timestampAuthorities, tlogs, ctlogs } = root;
  if (certificateAuthorities.length === 0) throw bad("has no certificateAuthorities");
  for (const { certChain } of [...certificateAuthorities, ...timestampAuthorities])
    if (certChain === undefined || certChain.certificates.length === 0)
      throw bad("has an authority without certificates");
  const spans = [
    ...[...certificateAuthorities, ...timestampAuthorities].map(({ validFor }) => validFor),
    ...[...tlogs, ...ctlogs].map(({ publicKey }) => publicKey?.validFor),
  ];
  if (spans.some(span => span?.start === undefined)) throw bad("has an authority or log without validFor.start");
  return root;
}

function bad(problem: string): TrustError {
  return new TrustError("BadTrustRoot", `the trusted root ${problem}`);
}
