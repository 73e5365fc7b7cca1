import { quoted } from "../oci/descriptor.ts";
import { type Failure, failure } from "./failure.ts";
import type { Identity } from "./rule.ts";

/** What a signature says, whatever its format. Nothing of it counts before the signature is verified. */
export interface Claim {
  /** The manifest that it is about. */
  readonly digest: string;
  /** "registry.example/team/filter", or null where it names none. */
  readonly repository: string | null;
  readonly annotations: ReadonlyMap<string, string>;
  /** What a statement states; null for a payload of the older form, which can only say "signed". */
  readonly predicateType: string | null;
}

/** cosign's predicate of a signature: it says nothing but "signed". */
export const SIGNATURE_PREDICATE = "https://sigstore.dev/cosign/sign/v1";
/** By which a statement names the repository that it is about, since it has no field for that. */
export const REPOSITORY_ANNOTATION = "wasmount.dev/repository";

/** What an image is to be to a claim. */
export interface Wanted {
  /** "registry.example/team/filter". */
  readonly repository: string;
  /** Of what was named, and of what an index led to. Either is what will run. */
  readonly digests: readonly string[];
  /** null wants a signature. */
  readonly predicateType: string | null;
  readonly identity: Identity;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The first thing in which a verified claim is not what is wanted, or null. */
export function claimFailure(claim: Claim, wanted: Wanted): Failure | null {
  return (
    digestFailure(claim, wanted) ??
    kindFailure(claim, wanted) ??
    repositoryFailure(claim, wanted) ??
    annotationFailure(claim, wanted)
  );
}

function digestFailure({ digest }: Claim, wanted: Wanted): Failure | null {
  if (wanted.digests.includes(digest)) return null;
  const image = wanted.digests.map(short).join(" or ");
  return failure("DigestMismatch", `the signature is of ${short(digest)}, the image is ${image}`);
}

function kindFailure({ predicateType }: Claim, wanted: Wanted): Failure | null {
  const [found, expected] = [predicateType ?? SIGNATURE_PREDICATE, wanted.predicateType ?? SIGNATURE_PREDICATE];
  if (found === expected) return null;
  return failure("NotASignature", `it states ${quoted(found)}, and ${quoted(expected)} is wanted`);
}

function repositoryFailure({ repository }: Claim, { identity, repository: image }: Wanted): Failure | null {
  if (identity === "Ignore") return null;
  if (repository === null)
    return failure(
      "RepositoryMismatch",
      `the signature names no repository (cosign sign -a ${REPOSITORY_ANNOTATION}=${image}, wasmount sign, or identity: Ignore)`,
    );
  const expected = identity === "MatchRepository" ? image : remapped(image, identity);
  if (repository === expected) return null;
  return failure("RepositoryMismatch", `the signature is for ${quoted(repository)}, the image is ${expected}`);
}

/** The repository that an image was signed for, where it was copied from: `to` is the prefix of the copy. */
function remapped(image: string, { from, to }: { readonly from: string; readonly to: string }): string {
  if (image === to) return from;
  return image.startsWith(`${to}/`) ? from + image.slice(to.length) : image;
}

function annotationFailure({ annotations }: Claim, wanted: Wanted): Failure | null {
  for (const [key, value] of Object.entries(wanted.annotations)) {
    const found = annotations.get(key);
    if (found === value) continue;
    const says = found === undefined ? "is not there" : `is ${quoted(found)}`;
    return failure("AnnotationMismatch", `the annotation ${quoted(key)} ${says}, and has to be ${quoted(value)}`);
  }
  return null;
}

/** Enough of a digest to tell two apart in a sentence. */
export function short(digest: string): string {
  return digest.slice(0, "sha256:".length + 12);
}
