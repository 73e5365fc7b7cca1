import { HttpError } from "./error.ts";
import type { Framing } from "./framing.ts";
import type { Inbound } from "./inbound.ts";
import { isField, MAX_HEAD_BYTES } from "./response-head.ts";

/** So many chunks may have any size; more of them have so many bytes on average: each takes its time. */
const FREE_CHUNKS = 1024;
const LEAST_CHUNK_BYTES = 64;
/** Of a chunk's line, with its extensions: nobody reads them. */
const MAX_LINE_BYTES = 4 * 1024;
/** No trailers (RFC 9110 section 6.5.1): who heeds them reads another body. */
const FRAMING_FIELD = /^(?:connection|content-length|transfer-encoding|upgrade):/i;
const CHUNK_LINE =
  /^([0-9a-fA-F]{1,12})(?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:=(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"[\t !#-[\]-~]*"))?)*\r\n$/;

/**
 * A response's body, without its framing. Each piece is lent: it lies in memory that the next one overwrites.
 * @throws {HttpError} Closed, NotHttp, and the connection's own errors
 */
export function messageBody(inbound: Inbound, framing: Framing): AsyncGenerator<Buffer, void, undefined> {
  if (framing.kind === "length") return sized(inbound, framing.size);
  return framing.kind === "chunked" ? chunked(inbound) : unsized(inbound);
}

function sized(inbound: Inbound, size: number): AsyncGenerator<Buffer, void, undefined> {
  inbound.expect(size);
  return pieces(inbound, size);
}

async function* pieces(inbound: Inbound, size: number): AsyncGenerator<Buffer, void, undefined> {
  for (let left = size; left > 0; ) {
    const piece = await inbound.some(left);
    if (piece.length === 0) throw new HttpError("Closed", "the connection was closed");
    left -= piece.length;
    yield piece;
  }
}

/** With the connection's end it ends, too. */
async function* unsized(inbound: Inbound): AsyncGenerator<Buffer, void, undefined> {
  for (;;) {
    const piece = await inbound.some(Number.POSITIVE_INFINITY, 1);
    if (piece.length === 0) return;
    yield piece;
  }
}

/** RFC 9112 section 7.1. Trailers are read, and left. */
async function* chunked(inbound: Inbound): AsyncGenerator<Buffer, void, undefined> {
  inbound.expect(Number.POSITIVE_INFINITY);
  let received = 0;
  for (let chunks = 1; ; chunks += 1) {
    const size = chunkSize(await lineOf(inbound, MAX_LINE_BYTES));
    if (size === 0) break;
    if (chunks > FREE_CHUNKS + received / LEAST_CHUNK_BYTES) {
      throw new HttpError("NotHttp", "its chunks are so small that they are little but framing");
    }
    yield* pieces(inbound, size);
    received += size;
    if ((await lineOf(inbound, 2)) !== "\r\n") throw new HttpError("NotHttp", "a chunk is longer than its size");
  }
  await skipTrailers(inbound);
}

async function skipTrailers(inbound: Inbound): Promise<void> {
  for (let left = MAX_HEAD_BYTES; ; ) {
    const line = await lineOf(inbound, left);
    left -= line.length;
    if (line === "\r\n") return;
    if (!isField(line.slice(0, -2)) || !line.endsWith("\r\n") || FRAMING_FIELD.test(line)) {
      throw new HttpError("NotHttp", "a trailer is malformed, or about framing");
    }
  }
}

function chunkSize(line: string): number {
  const [, size] = CHUNK_LINE.exec(line) ?? [];
  if (size === undefined) throw new HttpError("NotHttp", "a chunk doesn't begin with its size");
  return Number.parseInt(size, 16);
}

function lineOf(inbound: Inbound, limit: number): string | Promise<string> {
  return inbound.line(limit) ?? inbound.through("\r\n", limit);
}
