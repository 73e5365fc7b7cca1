import { CodedError } from "../error.ts";

export type PlanErrorCode =
  /** The environment holds no plan, or not all of its parts. */
  | "Missing"
  /** A part is not base64, or the whole is not gzip or JSON. */
  | "Corrupt"
  /** The plan's bytes are not those that the hash beside it names. */
  | "HashMismatch"
  /** The plan was written for another version of the fetcher. */
  | "UnknownSchema"
  /** The plan says something that no plan may say. */
  | "BadShape"
  /** The plan does not fit into an environment. */
  | "TooLarge"
  /** A key that is none, or none for Ed25519. */
  | "BadKey"
  /** Which keys there are is not known yet. */
  | "NoKeys"
  /** The plan's signature was made by a key that is not trusted. */
  | "UnknownKey"
  /** The signature is not over this plan, for this owner in this namespace. */
  | "BadSignature";

export class PlanError extends CodedError<PlanErrorCode> {}
