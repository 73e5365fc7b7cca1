import { CodedError } from "../error.ts";

export type DiagnosisErrorCode =
  /** A kubeconfig, or a context in it, can't be used. */
  | "BadKubeconfig"
  /** The API server could not be asked. */
  | "Unreachable"
  /** The API server does not know who is asking (HTTP 401). */
  | "NotLoggedIn"
  /** Whoever asks may not (HTTP 403). */
  | "RightMissing"
  /** Another answer than was asked for. */
  | "Refused"
  /** The object was changed by somebody else in between (HTTP 409). */
  | "Conflict"
  /** An answer beyond its limit. */
  | "TooLarge"
  /** There is no such namespace, or no such installation. */
  | "NotFound"
  /** More than is shown at a time. */
  | "TooMany";

export class DiagnosisError extends CodedError<DiagnosisErrorCode> {}
