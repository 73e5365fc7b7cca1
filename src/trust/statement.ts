import { isRecord } from "../oci/descriptor.ts";
import { isDigest } from "../oci/digest.ts";
import { type Claim, REPOSITORY_ANNOTATION } from "./claim.ts";
import { TrustError } from "./error.ts";
import { annotationsOf, object, repositoryOf } from "./payload.ts";

export const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";
export const PAYLOAD_TYPE = "application/vnd.in-toto+json";

const MAX_SUBJECTS = 16;

/**
 * Reads an in-toto statement (in-toto attestation framework, spec/v1/statement.md) as cosign writes it: annotations are
 * a subject of their own, beside the one with the digest.
 * @throws {TrustError} BadEvidence
 */
export function readStatement(bytes: Uint8Array): Claim {
  const { _type, subject, predicateType } = object(bytes, "the statement");
  if (_type !== STATEMENT_TYPE) throw bad(`is no ${STATEMENT_TYPE}`);
  if (typeof predicateType !== "string" || predicateType === "") throw bad("has no predicateType");
  if (!Array.isArray(subject) || subject.length > MAX_SUBJECTS) {
    throw bad(`has no list of at most ${MAX_SUBJECTS} subjects`);
  }
  const subjects = subject.map(readSubject);
  const annotations = merged(subjects.map(entry => entry.annotations));
  const digests = subjects.flatMap(({ digest }) => (digest === null ? [] : [digest]));
  return { digests, repository: repositoryOf(annotations.get(REPOSITORY_ANNOTATION)), annotations, predicateType };
}

interface Subject {
  readonly digest: string | null;
  readonly annotations: ReadonlyMap<string, string>;
}

function readSubject(entry: unknown): Subject {
  if (!isRecord(entry)) throw bad("has a subject that is no object");
  const hex = isRecord(entry["digest"]) ? entry["digest"]["sha256"] : undefined;
  return { digest: hex === undefined ? null : digestOf(hex), annotations: annotationsOf(entry["annotations"]) };
}

/** What one subject says of an annotation another may not gainsay: readers differ in which one they would take. */
function merged(maps: readonly ReadonlyMap<string, string>[]): ReadonlyMap<string, string> {
  const all = new Map<string, string>();
  for (const [key, value] of maps.flatMap(map => [...map])) {
    if (all.has(key) && all.get(key) !== value) throw bad("has two values for one annotation");
    all.set(key, value);
  }
  return all;
}

function digestOf(hex: unknown): string {
  const digest = `sha256:${hex}`;
  if (typeof hex !== "string" || !isDigest(digest)) throw bad("has a subject whose sha256 is no digest");
  return digest;
}

function bad(problem: string): TrustError {
  return new TrustError("BadEvidence", `the statement ${problem}`);
}
