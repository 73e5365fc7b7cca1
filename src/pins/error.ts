import { CodedError } from "../error.ts";

export type PinErrorCode =
  /** A record that can't be read as one. */
  | "Corrupt"
  /** An object with a record's name that belongs to another owner, or to nobody. */
  | "Foreign"
  /** An owner has as many pins as it may. */
  | "Full"
  /** A namespace has as many records as it may. */
  | "TooMany"
  /** Others changed a record each time before it could be written. */
  | "Contended"
  /** The time for one tag is over. */
  | "Deadline";

/** Why a tag can't be pinned, in words fit for a pod's author. */
export class PinError extends CodedError<PinErrorCode> {}
