import { CodedError } from "../error.ts";

export type FetchErrorCode =
  /** The shared volume can't be written. */
  | "Volume"
  /** The module is not one that the proxy's Envoy can load. */
  | "BadModule"
  /** A policy does not let the filter load its image. */
  | "Untrusted"
  /** The author's Envoy configuration can't be read. */
  | "NoBootstrap"
  /** What lies on the volume is not what was written. */
  | "Altered";

export class FetchError extends CodedError<FetchErrorCode> {}
