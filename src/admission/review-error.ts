import { CodedError } from "../error.ts";

export type ReviewErrorCode =
  /** The body is not JSON. */
  | "NotJson"
  /** The body is JSON, but not an AdmissionReview of a version we speak. */
  | "NotAReview"
  /** The request lacks a member, or has one of another type. */
  | "BadRequest";

export class ReviewError extends CodedError<ReviewErrorCode> {}
