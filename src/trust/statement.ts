import { isRecord } from "../oci/descriptor.ts";
import { isDigest } from "../oci/digest.ts";
import { type Claim, REPOSITORY_ANNOTATION } from "./claim.ts";
import { TrustError } from "./error.ts";
import { annotationsOf, object, repositoryOf } from "./payload.ts";

export const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";
/** What cosign 3 still writes for attestations. Its members are the same. */
const OLDER_TYPE = "https://in-toto.io/Statement/v0.1";
export const PAYLOAD_TYPE = "application/vnd.in-toto+json";

const MAX_SUBJECTS = 16;

/**
 * Reads an in-toto statement (in-toto attestation framework, spec/v1/statement.md): one claim for each of its subjects,
 * with the annotations of that one alone, for the repository that it names. What is said of one image is not said of another.
 * @throws {TrustError} BadEvidence
 */
export function readStatement(bytes: Uint8Array): readonly Claim[] {
  const { _type, subject, predicateType } = object(bytes, "the statement");
  if (_type !== STATEMENT_TYPE && _type !== OLDER_TYPE) throw bad(`is no ${STATEMENT_TYPE}`);
  if (typeof predicateType !== "string" || predicateType === "") throw bad("has no predicateType");
  if (!Array.isArray(subject) || subject.length === 0 || subject.length > MAX_SUBJECTS) {
    throw bad(`has no list of 1 to ${MAX_SUBJECTS} subjects`);
  }
  return subject.map(entry => readSubject(entry, predicateType));
}

function readSubject(entry: unknown, predicateType: string): Claim {
  const hex = isRecord(entry) && isRecord(entry["digest"]) ? entry["digest"]["sha256"] : undefined;
  const digest = `sha256:${hex}`;
  if (!isRecord(entry) || typeof hex !== "string" || !isDigest(digest))
    throw bad("has a subject without sha256 digest");
  const annotations = annotationsOf(entry["annotations"]);
  // Attestations name it as their subject; cosign's signatures don't, and have it in an annotation, if at all.
  const repository = repositoryOf(annotations.get(REPOSITORY_ANNOTATION) ?? entry["name"]);
  return { digest, repository, annotations, predicateType };
}

function bad(problem: string): TrustError {
  return new TrustError("BadEvidence", `the statement ${problem}`);
}
