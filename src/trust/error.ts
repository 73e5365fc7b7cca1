import { CodedError } from "../error.ts";

export type TrustErrorCode =
  /** A file of policies is no YAML. */
  | "NotYaml"
  /** A policy says what no policy may say, or contradicts itself. */
  | "BadPolicy"
  /** A key that can't be used: no PEM, a kind or size that is not supported. */
  | "BadKey"
  /** A trusted root that can't be used. */
  | "BadTrustRoot"
  /** What should be a signature can't be read as one. */
  | "BadEvidence"
  /** No identity token is at hand, or what is there can't be one. */
  | "BadToken"
  /** A service that keyless signing needs refused, could not be reached, or answered with something else. */
  | "NotSigned";

/** The one error of this folder. A signature that does not count is no error but a `Failure`. */
export class TrustError extends CodedError<TrustErrorCode> {}
