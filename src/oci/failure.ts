import { messageOf } from "../error.ts";
import { HttpError } from "../http/error.ts";
import { RegistryError, type RegistryErrorCode } from "./error.ts";

/**
 * What went wrong on the wire, as one of our errors: a passed deadline and a caller's cancellation come first, because
 * they make every other error happen. The URL's query never shows: it may carry a signature.
 */
export function failureOf(error: unknown, url: URL, signal: AbortSignal): RegistryError {
  const { host } = url;
  if (signal.aborted) return abortion(signal);
  if (error instanceof RegistryError) return error;
  if (error instanceof HttpError) return httpFailure(error, host);
  const code = errorCode(error);
  if (/CERT|TLS|SSL|SELF_SIGNED|ALTNAME|VERIFY/.test(code)) {
    return new RegistryError("Unreachable", `no trusted TLS connection to ${host} (${code})`, { cause: error });
  }
  return new RegistryError("Unreachable", `no answer from ${host} (${code})`, { cause: error });
}

function httpFailure(error: HttpError, host: string): RegistryError {
  // Another registry's, perhaps, from which it was to be copied.
  if (error.code === "NoBody" && error.cause instanceof RegistryError) return error.cause;
  const [code, message] = meaningOf(error, host);
  return new RegistryError(code, message, { cause: error });
}

function meaningOf({ code, message, cause }: HttpError, host: string): readonly [RegistryErrorCode, string] {
  switch (code) {
    case "NotHttp":
      return ["BadResponse", `${host} answered with something that is not HTTP: ${message}`];
    case "Closed":
      return ["Unreachable", `${host} closed the connection`];
    case "Silent":
      return ["Timeout", `${host} was ${message}`];
    case "NotConnected":
      return ["Timeout", message];
    case "BadRequest":
      return ["Rejected", message];
    case "NoBody":
      return ["Rejected", `${message}: ${messageOf(cause)}`];
  }
}

/** The error for a signal that was aborted. */
function abortion(signal: AbortSignal): RegistryError {
  const { reason } = signal;
  if (reason instanceof RegistryError) return reason;
  if (reason instanceof Error && reason.name === "TimeoutError") {
    return new RegistryError("Timeout", "the time allowed for it is over", { cause: reason });
  }
  return new RegistryError("Cancelled", "it was cancelled", { cause: reason });
}

/** The system's or Node's code for an error, fit for a message. */
export function errorCode(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return /^[A-Z][A-Z0-9_]{1,60}$/.test(code) ? code : "connection failed";
}
