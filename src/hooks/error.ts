import { CodedError } from "../error.ts";

export type HookErrorCode =
  /** The API server can't be reached, or the credentials for it be had. */
  | "Unreachable"
  /** The API server refuses a call that the hook has to make. */
  | "Refused"
  /** Replicas of the webhook did not end in time. */
  | "StillRunning";

export class HookError extends CodedError<HookErrorCode> {}
