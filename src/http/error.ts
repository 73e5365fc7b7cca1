import { CodedError } from "../error.ts";

export type HttpErrorCode =
  /** What came is not a response as RFC 9112 has it. */
  | "NotHttp"
  /** The connection ended before the response was whole. */
  | "Closed"
  /** The other side was silent for too long. */
  | "Silent"
  /** No connection stood within its time. */
  | "NotConnected"
  /** What was to be sent can't be: a header with a line break, say. */
  | "BadRequest"
  /** What was to be sent could not be had: its cause is why. */
  | "NoBody";

/**
 * What goes wrong between us and a server, but for what the system says itself. The message is ours from end to end: it
 * holds nothing that the server sent, and no value of a header.
 */
export class HttpError extends CodedError<HttpErrorCode> {}
