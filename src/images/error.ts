import { CodedError } from "../error.ts";

export type ImageErrorCode =
  /** Neither a reference nor one of the spellings of `parsePlace`. */
  | "BadPlace"
  /** A place that can't be read or written in the way that was asked for. */
  | "WrongPlace"
  /** Envoy can't load the module. */
  | "ModuleRefused"
  /** A module's file can't be read, or its name can't be an image's. */
  | "BadFile"
  /** More manifests, or deeper ones, than an image of a module has. */
  | "TooMany";

/** The one error of this folder. */
export class ImageError extends CodedError<ImageErrorCode> {}
