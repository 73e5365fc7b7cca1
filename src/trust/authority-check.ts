import { readBundle, type StatementBundle } from "./bundle.ts";
import { type Claim, claimFailure, type Wanted } from "./claim.ts";
import { TrustError } from "./error.ts";
import type { Evidence, Signature } from "./evidence.ts";
import { type Failure, failure, farthest } from "./failure.ts";
import { readPayload } from "./payload.ts";
import { isSignedBy, readPublicKey } from "./public-key.ts";
import type { Authority, FrozenAuthority, KeyAuthority, KeylessAuthority } from "./rule.ts";
import { readStatement } from "./statement.ts";

/** What one authority says of an image. */
export interface AuthorityResult {
  readonly name: string;
  /** Who signed what counts: keys by their hash, people by their certificates. Nobody where it failed. */
  readonly signers: readonly string[];
  readonly failure: Failure | null;
}

/** An image as an authority is asked about it. */
export type AskedImage = Pick<Wanted, "repository" | "digests" | "predicateType">;

/** Asks an authority about an image. All evidence is looked at: of several signatures any may be the one that counts. */
export async function askAuthority(
  authority: Authority,
  image: AskedImage,
  evidence: Evidence,
): Promise<AuthorityResult> {
  if (authority.kind === "digests") return frozen(authority, image);
  const signers = new Set<string>();
  const failures: Failure[] = evidence.faults.map(fault => failure("BadEvidence", fault));
  for (const signature of evidence.signatures) {
    const result = await judged(signature, authority, image);
    if ("signer" in result) signers.add(result.signer);
    else failures.push(result.failure);
  }
  return { name: authority.name, signers: [...signers], failure: signers.size > 0 ? null : farthest(failures) };
}

function frozen({ name, digests }: FrozenAuthority, image: AskedImage): AuthorityResult {
  const found = image.predicateType === null ? image.digests.find(digest => digests.includes(digest)) : undefined;
  if (found !== undefined) return { name, signers: [found], failure: null };
  return { name, signers: [], failure: failure("NotFrozen", `its digest is none of the ${digests.length} listed`) };
}

type Judged = { readonly signer: string } | { readonly failure: Failure };

/** Signature first, and only then what it says: a stranger's claim is not worth reading. */
async function judged(
  signature: Signature,
  authority: KeyAuthority | KeylessAuthority,
  image: AskedImage,
): Promise<Judged> {
  if (!authority.formats.includes(signature.format)) {
    return {
      failure: failure(
        "FormatNotAllowed",
        `a ${signature.format} is there, allowed are ${authority.formats.join(", ")}`,
      ),
    };
  }
  try {
    const { identity, annotations } = authority;
    const { signer, claims } = await verified(signature, authority);
    if (typeof signer !== "string") return { failure: signer };
    const problems = claims().map(claim => claimFailure(claim, { ...image, identity, annotations }));
    if (problems.includes(null)) return { signer };
    return { failure: farthest(problems.filter(problem => problem !== null)) };
  } catch (error) {
    if (!(error instanceof TrustError)) throw error;
    return { failure: failure(error.code === "BadEvidence" ? "BadPayload" : "UntrustedSignature", error.message) };
  }
}

interface Verified {
  readonly signer: string | Failure;
  readonly claims: () => readonly Claim[];
}

async function verified(signature: Signature, authority: KeyAuthority | KeylessAuthority): Promise<Verified> {
  if (signature.format === "simpleSigning") {
    const { payload } = signature;
    const claims = () => [readPayload(payload)];
    if (authority.kind === "keyless") {
      return { signer: failure("FormatNotAllowed", "a certificate counts in a sigstoreBundle alone"), claims };
    }
    return { signer: keySigner(authority, payload, signature.signature), claims };
  }
  const bundle = unwrapped(signature.bytes);
  if (bundle instanceof TrustError) return { signer: failure("BadEvidence", bundle.message), claims: unread };
  return { signer: await bundleSigner(bundle, authority), claims: () => readStatement(bundle.payload) };
}

async function bundleSigner(
  bundle: StatementBundle,
  authority: KeyAuthority | KeylessAuthority,
): Promise<string | Failure> {
  if (authority.kind === "key") return keySigner(authority, bundle.signed, bundle.signature);
  if (!bundle.isKeyless) return failure("UntrustedSignature", "the bundle is signed by a key, without a certificate");
  // Late, because most policies have keys, and the library is large.
  const { keylessSigner } = await import("./keyless.ts");
  const result = keylessSigner(bundle, authority);
  return "signer" in result ? result.signer : result.failure;
}

function keySigner({ pem, hash }: KeyAuthority, data: Buffer, signature: Buffer): string | Failure {
  const key = readPublicKey(pem, hash);
  if (isSignedBy(key, data, signature)) return key.spkiHash;
  return failure("WrongKey", "the signature found is not by this key");
}

function unwrapped(bytes: Buffer): StatementBundle | TrustError {
  try {
    return readBundle(bytes);
  } catch (error) {
    if (error instanceof TrustError) return error;
    throw error;
  }
}

function unread(): never {
  throw new TypeError("the claims of a bundle that could not be read was asked for");
}
