import { CodedError } from "../error.ts";

export type InjectErrorCode =
  /** A file can't be read, or is not UTF-8. */
  | "Unreadable"
  /** The input is beyond a limit: bytes, nesting, expanded aliases. */
  | "TooLarge"
  /** The input is neither YAML nor JSON. */
  | "NotYaml"
  /** A manifest lacks a member, or has one of another type. */
  | "BadObject"
  /** Options that contradict each other. */
  | "BadUsage"
  /** A document that the form asked for can't express. */
  | "Inexpressible"
  /** A change that could not be written into the text. */
  | "Unwritable";

export class InjectError extends CodedError<InjectErrorCode> {}
