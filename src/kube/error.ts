import { CodedError } from "../error.ts";

export type KubeErrorCode =
  /** A kubeconfig can't be read. */
  | "BadKubeconfig"
  /** A manifest file can't be read as what it should hold. */
  | "BadManifest"
  /** There is no namespace of that name. */
  | "NoNamespace"
  /** The API server could not be asked, the connection to it broke, or it can't answer now (HTTP 5xx): its store is away, for one. */
  | "Unreachable"
  /** HTTP 403: whoever asks may not. */
  | "Forbidden"
  /** HTTP 404. */
  | "NotFound"
  /** HTTP 410, or the same as a watch event: the version asked for is no longer kept. */
  | "Gone"
  /** HTTP 409: the object exists already, or is another version than the one that the write was made for. */
  | "Conflict"
  /** HTTP 429: the API server, or an admission plugin in it, asks for fewer calls. */
  | "TooManyRequests"
  /** Another HTTP status than 2xx, or the same as a watch event. */
  | "Refused"
  /** An answer that is not what its media type says. */
  | "Malformed"
  /** An answer, or a line of one, beyond its limit. */
  | "TooLarge"
  /** A watch that said nothing for longer than it may. */
  | "Silent"
  /** The time that a caller has for all its questions together is over. */
  | "Deadline";

export class KubeError extends CodedError<KubeErrorCode> {}
