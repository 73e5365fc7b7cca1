import { HttpError } from "./error.ts";
import type { ResponseHead } from "./response-head.ts";

/** Where a response's body ends. */
export type Framing =
  | { readonly kind: "length"; readonly size: number }
  | { readonly kind: "chunked" }
  /** With the connection. */
  | { readonly kind: "close" };

const EMPTY: Framing = { kind: "length", size: 0 };

/**
 * How a response's body is framed (RFC 9112 section 6.3). What two readers could frame in two ways is refused.
 * @throws {HttpError} NotHttp
 */
export function framingOf(method: string, { status, minor, headers }: ResponseHead): Framing {
  const length = headers["content-length"];
  const coding = headers["transfer-encoding"];
  // Also where there is no body: whoever reads it as if there were one takes something else for the next response.
  if (coding !== undefined && length !== undefined) {
    throw new HttpError("NotHttp", "it has both a Content-Length and a Transfer-Encoding");
  }
  if (coding !== undefined && (minor === 0 || coding.toLowerCase() !== "chunked")) {
    throw new HttpError("NotHttp", "its Transfer-Encoding is not chunked, the only one that was asked for");
  }
  if (length !== undefined && !/^[0-9]{1,15}$/.test(length)) {
    throw new HttpError("NotHttp", "its Content-Length is no number of bytes");
  }
  if (method === "HEAD" || status < 200 || status === 204 || status === 304) return EMPTY;
  if (coding !== undefined) return { kind: "chunked" };
  return length === undefined ? { kind: "close" } : { kind: "length", size: Number(length) };
}

/** Whether another request may follow once the body is read (RFC 9112 section 9.3). */
export function staysOpen({ minor, headers }: ResponseHead, framing: Framing): boolean {
  if (minor === 0 || framing.kind === "close") return false;
  // The second one is no field of HTTP's, but some servers' and Node's.
  const { connection = "", "proxy-connection": proxied = "" } = headers;
  const options = `${connection},${proxied}`.toLowerCase().split(",");
  return !options.some(option => option.trim() === "close");
}
