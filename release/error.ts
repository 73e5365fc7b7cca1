import { CodedError } from "../src/error.ts";

export type ReleaseErrorCode =
  /** An argument, or the state of the checkout, that no release can be made of. */
  | "BadArgument"
  /** Neither buildah nor docker buildx, or a program that failed. */
  | "CommandFailed"
  /** What was built is not what a release is: other files, another machine's, not those of this checkout. */
  | "BadImage";

/** The one error of this folder. */
export class ReleaseError extends CodedError<ReleaseErrorCode> {}
