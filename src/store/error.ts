import { CodedError } from "../error.ts";

export type StoreErrorCode =
  /** There is no image of that name, or a blob that an index lists is not there. */
  | "NotFound"
  /** A name stands for several images, or there is a choice and no name. */
  | "Ambiguous"
  /** A folder or file that is no OCI image layout. */
  | "NotALayout"
  /** A file that would have to be replaced. */
  | "Exists"
  /** A name that index.json can't hold. */
  | "BadName"
  | "TooLarge"
  /** Another process holds the index. */
  | "Busy"
  /** The file system refuses. */
  | "Storage";

/** The one error of this folder. */
export class StoreError extends CodedError<StoreErrorCode> {}
