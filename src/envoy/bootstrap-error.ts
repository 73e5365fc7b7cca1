import { CodedError } from "../error.ts";

/**
 * - NotYaml, NotJson: the text is not what its file name says.
 * - UnsupportedFormat: a file that Envoy reads as protobuf (.pb, .pb_text).
 * - TooLarge: more bytes, levels or expanded aliases than are read.
 * - DuplicateField: one field twice, also once as http_filters and once as httpFilters.
 * - DynamicListeners: listeners, filter chains or network filters that a server or another file delivers.
 * - NoHttpConnectionManager: nothing to edit.
 * - Unsupported: a legal configuration that can't be edited without changing what it means.
 * - InvalidInput: slots, root, node identity or filter as the caller gave them.
 * - Internal: the edited text does not mean what was intended. Nothing may be written then.
 */
export type BootstrapErrorCode =
  | "NotYaml"
  | "NotJson"
  | "UnsupportedFormat"
  | "TooLarge"
  | "DuplicateField"
  | "DynamicListeners"
  | "NoHttpConnectionManager"
  | "Unsupported"
  | "InvalidInput"
  | "Internal";

/** Why an Envoy bootstrap was not edited. */
export class BootstrapError extends CodedError<BootstrapErrorCode> {}
