import { CodedError } from "../error.ts";

export type KubeErrorCode =
  /** A kubeconfig can't be read. */
  | "BadKubeconfig"
  /** A manifest file can't be read as what it should hold. */
  | "BadManifest"
  /** There is no namespace of that name. */
  | "NoNamespace"
  /** The API server could not be asked. */
  | "Unreachable";

export class KubeError extends CodedError<KubeErrorCode> {}
