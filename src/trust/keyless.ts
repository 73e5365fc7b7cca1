import { type Signer, toSignedEntity, toTrustMaterial, Verifier } from "@sigstore/verify";
import { quoted } from "../oci/descriptor.ts";
import type { StatementBundle } from "./bundle.ts";
import { type Failure, failure } from "./failure.ts";
import type { KeylessAuthority } from "./rule.ts";
import { readTrustedRoot } from "./trusted-root.ts";

/** Characters of a name that are shown: identities of one organisation begin alike. */
const MAX_IDENTITY = 160;

/** Without a proven time, a certificate that lives for minutes proves nothing. */
const TIMESTAMPS = 1;

/** What the library calls what failed, in words: its own messages may hold a stranger's text. */
const WORDS: Readonly<Record<string, string>> = {
  TIMESTAMP_ERROR: "no timestamp that the trusted root vouches for",
  TLOG_ERROR: "not enough transparency log entries",
  TLOG_BODY_ERROR: "the transparency log's entry is of something else",
  TLOG_INCLUSION_PROOF_ERROR: "the transparency log's proof of inclusion is wrong",
  TLOG_INCLUSION_PROMISE_ERROR: "the transparency log's promise of inclusion is wrong",
  TLOG_MISSING_INCLUSION_ERROR: "a transparency log entry without proof of inclusion",
  CERTIFICATE_ERROR:
    "the certificate is not one of the trusted root's, was expired when it signed, or lacks log timestamps",
  SIGNATURE_ERROR: "the signature is not the certificate's",
};

/**
 * Who signed, by a certificate of the operator's trusted root, or why nobody that counts. The library is not told of
 * identities: it would take them for patterns.
 */
export function keylessSigner(
  { bundle }: StatementBundle,
  authority: KeylessAuthority,
): { readonly signer: string } | { readonly failure: Failure } {
  let signer: Signer;
  try {
    const { ctlogThreshold, tlogThreshold } = authority;
    const material = toTrustMaterial(readTrustedRoot(authority.trustedRoot));
    const verifier = new Verifier(material, { ctlogThreshold, tlogThreshold, timestampThreshold: TIMESTAMPS });
    signer = verifier.verify(toSignedEntity(bundle));
  } catch (error) {
    return { failure: failure("UntrustedSignature", wordsFor(error)) };
  }
  // One log that has it twice is one log.
  const logs = new Set(bundle.verificationMaterial.tlogEntries.map(({ logId }) => logId?.keyId.toString("hex")));
  if (logs.size < authority.tlogThreshold) {
    return {
      failure: failure("UntrustedSignature", `it is in ${logs.size} transparency logs, not ${authority.tlogThreshold}`),
    };
  }
  return identityOf(signer, authority);
}

function identityOf(
  { identity }: Signer,
  { identities }: KeylessAuthority,
): { readonly signer: string } | { readonly failure: Failure } {
  const issuer = identity?.extensions?.issuer;
  const subject = identity?.subjectAlternativeName;
  if (issuer === undefined || subject === undefined) {
    return { failure: failure("IdentityMismatch", "the certificate names no issuer and subject") };
  }
  if (identities.some(wanted => wanted.issuer === issuer && wanted.subject === subject)) {
    return { signer: JSON.stringify([issuer, subject]) };
  }
  const shown = (text: string) => quoted(text, MAX_IDENTITY);
  const wanted = identities.map(({ subject: one, issuer: by }) => `${shown(one)} by ${shown(by)}`).join(" or ");
  return {
    failure: failure("IdentityMismatch", `it is signed by ${shown(subject)} of ${shown(issuer)}, not ${wanted}`),
  };
}

function wordsFor(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return WORDS[code] ?? "the bundle's proofs can't be verified";
}
