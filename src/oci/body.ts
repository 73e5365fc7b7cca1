import { heldBody } from "../http/response-body.ts";
import type { Headers } from "../http/response-head.ts";
import { cleaned, RegistryError, type RegistryErrorCode } from "./error.ts";
import { failureOf } from "./failure.ts";
import { parseObject } from "./json.ts";
import { retryAfter } from "./retry.ts";
import type { TransportResponse } from "./transport.ts";

/** Refuses a coding that was not asked for. @throws {RegistryError} BadResponse */
export function refuseCoding(response: TransportResponse): void {
  const coding = response.headers["content-encoding"];
  if (coding === undefined || coding.toLowerCase() === "identity") return;
  response.body.destroy();
  throw new RegistryError("BadResponse", `${response.url.host} sent a Content-Encoding, though none was accepted`);
}

/**
 * A response's body, chunk by chunk, with the wire's failures as our errors.
 * @param lent a chunk is done with when the next one is asked for: its memory is used again then
 */
export async function* chunksOf(
  response: TransportResponse,
  signal: AbortSignal,
  lent = false,
): AsyncGenerator<Buffer, void, undefined> {
  try {
    for await (const chunk of response.body.chunks()) yield lent ? chunk : Buffer.from(chunk);
  } catch (error) {
    throw failureOf(error, response.url, signal);
  } finally {
    response.body.destroy();
  }
}

/**
 * A response's whole body.
 * @param limit in bytes; a body that announces or brings more is refused, never cut
 * @throws {RegistryError} TooLarge, BadResponse and the wire's
 */
export async function readBody(
  response: TransportResponse,
  limit: number,
  what: string,
  signal: AbortSignal,
): Promise<Buffer> {
  refuseCoding(response);
  const announced = announcedSize(response.headers);
  if (announced !== null && announced > limit) {
    response.body.destroy();
    throw tooLarge(what, limit);
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunksOf(response, signal)) {
    size += chunk.length;
    if (size > limit) throw tooLarge(what, limit);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

/** The Content-Length of a response, or null. That it is a number, `framingOf` has seen to. */
export function announcedSize({ "content-length": length }: Headers): number | null {
  return length === undefined ? null : Number(length);
}

/**
 * The error that a response with a status of failure means.
 * @param limit bytes that are read of what the registry says
 */
export async function refusal(
  response: TransportResponse,
  signal: AbortSignal,
  now: number,
  limit: number,
): Promise<RegistryError> {
  const { status, headers, url } = response;
  const text = (await readErrorBody(response, signal, limit)).toString("utf8");
  const { code, says } = statusMeaning(status);
  const known = knownCode(text);
  return new RegistryError(code, `${url.host} ${says} (${status}${known === null ? "" : ` ${known}`})`, {
    status,
    detail: text === "" ? null : cleaned(text),
    retryAfterMs: code === "RateLimited" || code === "Server" ? retryAfter(headers["retry-after"], now) : null,
  });
}

/**
 * A response of failure, with its body in memory as far as anybody reads it: who may still need it, and asks for something
 * else before that, has no connection waiting meanwhile.
 */
export async function held(
  response: TransportResponse,
  signal: AbortSignal,
  limit: number,
): Promise<TransportResponse> {
  return { ...response, body: heldBody(await readErrorBody(response, signal, limit)) };
}

async function readErrorBody(response: TransportResponse, signal: AbortSignal, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let left = limit;
  try {
    for await (const chunk of chunksOf(response, signal)) {
      chunks.push(chunk.subarray(0, left));
      left -= chunk.length;
      if (left <= 0) break;
    }
  } catch (error) {
    // The status already tells what counts; an error body that breaks off only costs the detail.
    if (signal.aborted) throw error;
  }
  return Buffer.concat(chunks);
}

function statusMeaning(status: number): { readonly code: RegistryErrorCode; readonly says: string } {
  if (status === 401) return { code: "Unauthorized", says: "wants other credentials" };
  if (status === 403) return { code: "Denied", says: "denies access" };
  if (status === 404) return { code: "NotFound", says: "has nothing by this name" };
  if (status === 408) return { code: "Server", says: "timed out waiting for the request" };
  if (status === 429) return { code: "RateLimited", says: "limits our rate of requests" };
  if (status >= 500) return { code: "Server", says: "failed" };
  if (status >= 400) return { code: "Rejected", says: "refuses the request" };
  return { code: "BadResponse", says: "answered with a status that means nothing here" };
}

// distribution-spec, "Error Codes": a closed list, so these words of the registry may be repeated.
const KNOWN_CODES: readonly string[] = [
  "BLOB_UNKNOWN",
  "BLOB_UPLOAD_INVALID",
  "BLOB_UPLOAD_UNKNOWN",
  "DIGEST_INVALID",
  "MANIFEST_BLOB_UNKNOWN",
  "MANIFEST_INVALID",
  "MANIFEST_UNKNOWN",
  "NAME_INVALID",
  "NAME_UNKNOWN",
  "SIZE_INVALID",
  "UNAUTHORIZED",
  "DENIED",
  "UNSUPPORTED",
  "TOOMANYREQUESTS",
];

function knownCode(text: string): string | null {
  try {
    const { errors } = parseObject(Buffer.from(text), "the error");
    const code = Array.isArray(errors) ? errors[0]?.code : null;
    return KNOWN_CODES.includes(code) ? code : null;
  } catch {
    return null;
  }
}

function tooLarge(what: string, limit: number): RegistryError {
  return new RegistryError("TooLarge", `${what} has more than the ${limit} bytes allowed`);
}
