import { CodedError } from "../error.ts";

export type ConfigErrorCode =
  /** The file can't be read. */
  | "Unreadable"
  /** The file is not YAML. */
  | "NotYaml"
  /** The file says something that the schema does not allow. */
  | "Invalid"
  /** What a setting names can't be used: a port is taken, a certificate is none. */
  | "Unusable";

export class ConfigError extends CodedError<ConfigErrorCode> {}
