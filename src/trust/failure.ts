/** Why a signature does not count for an authority, the least telling first. */
export const FAILURES = [
  "NoSignature",
  "FormatNotAllowed",
  "BadEvidence",
  "WrongKey",
  "UntrustedSignature",
  "IdentityMismatch",
  "BadPayload",
  "DigestMismatch",
  "NotASignature",
  "RepositoryMismatch",
  "AnnotationMismatch",
  "NotFrozen",
] as const;

export type FailureCode = (typeof FAILURES)[number];

export interface Failure {
  readonly code: FailureCode;
  /** One clause without a full stop. What a stranger wrote stands in it quoted and cut. */
  readonly message: string;
}

export function failure(code: FailureCode, message: string): Failure {
  return { code, message };
}

/** The failure of the attempt that came farthest: what its author has to mend. */
export function farthest(failures: readonly Failure[]): Failure {
  const rank = ({ code }: Failure) => FAILURES.indexOf(code);
  return failures.reduce((best, next) => (rank(next) > rank(best) ? next : best), NONE);
}

const NONE: Failure = { code: "NoSignature", message: "no signature found" };
