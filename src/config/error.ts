import { CodedError } from "../error.ts";

export type ConfigErrorCode =
  /** The file can't be read. */
  | "Unreadable"
  /** The file is not YAML. */
  | "NotYaml"
  /** The file says something that the schema does not allow. */
  | "Invalid";

export class ConfigError extends CodedError<ConfigErrorCode> {}
