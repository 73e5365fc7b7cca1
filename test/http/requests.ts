import type { HttpRequest, HttpResponse, RequestBody } from "../../src/http/connection.ts";
import { requestHead } from "../../src/http/request-head.ts";

export interface RequestChange extends Partial<Omit<HttpRequest, "head">> {
  readonly target?: string;
}

/** A request, for nothing in particular but for what is given. */
export function requestOf(change: RequestChange = {}): HttpRequest {
  const { method = "GET", target = "/", body = null } = change;
  const length: Record<string, string> = body === null ? {} : { "content-length": String(body.size) };
  return {
    method,
    head: requestHead(method, target, { host: "test", ...length }),
    body,
    idleMs: change.idleMs ?? 5_000,
    signal: change.signal ?? new AbortController().signal,
  };
}

/** A body of these pieces. */
export function bodyOf(...pieces: readonly Uint8Array[]): RequestBody {
  return {
    size: pieces.reduce((size, { length }) => size + length, 0),
    open: async function* () {
      yield* pieces;
    },
  };
}

/** All of a response's body: its pieces are lent. */
export async function bytesOf({ body }: Pick<HttpResponse, "body">): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of body.chunks()) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}
