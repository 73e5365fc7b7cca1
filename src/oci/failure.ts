import { RegistryError } from "./error.ts";

/**
 * What went wrong on the wire, as one of our errors: a passed deadline and a caller's cancellation come first, because
 * they make every other error happen. The URL's query never shows: it may carry a signature.
 */
export function failureOf(error: unknown, url: URL, signal: AbortSignal): RegistryError {
  const { host } = url;
  if (signal.aborted) return abortion(signal);
  if (error instanceof RegistryError) return error;
  const code = errorCode(error);
  if (code.startsWith("HPE_")) {
    return new RegistryError("BadResponse", `${host} answered with something that is not HTTP (${code})`, {
      cause: error,
    });
  }
  if (/CERT|TLS|SSL|SELF_SIGNED|ALTNAME|VERIFY/.test(code)) {
    return new RegistryError("Unreachable", `no trusted TLS connection to ${host} (${code})`, { cause: error });
  }
  return new RegistryError("Unreachable", `no answer from ${host} (${code})`, { cause: error });
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
