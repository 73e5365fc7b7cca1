import { CodedError } from "../../../src/error.ts";

export type ClusterErrorCode =
  | "BadModule"
  | "BuildFailed"
  | "CommandFailed"
  | "GoMissing"
  | "GoTooOld"
  | "Locked"
  | "NetworkTaken"
  | "NodeUnsupported"
  | "NotReady"
  | "NotRunning"
  | "NoKubeconfig"
  | "NotOurs"
  | "PackagesMissing"
  | "PathTooLong"
  | "PortTaken";

/** Anything that keeps the local cluster from being built, started, used or stopped. */
export class ClusterError extends CodedError<ClusterErrorCode> {}
