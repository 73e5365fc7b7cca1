import type { IncomingMessage, ServerResponse } from "node:http";

/** The error codes of distribution-spec, "Error Codes", with the status that each goes with. */
const STATUS = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  SIZE_INVALID: 413,
  RANGE_INVALID: 416,
  UNAUTHORIZED: 401,
  UNSUPPORTED: 405,
} as const;

/** A refusal, thrown by whatever finds the fault and written by the server. */
export class Refusal extends Error {
  readonly code: keyof typeof STATUS;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: keyof typeof STATUS, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.code = code;
    this.headers = headers;
  }
}

/** One request, split into what the routes look at. */
export interface Exchange {
  readonly method: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
  readonly response: ServerResponse;
}

export function answer(
  { response, method }: Exchange,
  status: number,
  headers: Readonly<Record<string, string>> = {},
  body: Buffer = Buffer.alloc(0),
): void {
  response.writeHead(status, { ...headers, "content-length": String(body.length) });
  response.end(method === "HEAD" ? undefined : body);
}

export function answerJson(
  exchange: Exchange,
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const type = headers["content-type"] ?? "application/json";
  answer(exchange, status, { ...headers, "content-type": type }, Buffer.from(JSON.stringify(value)));
}

export function refuse(exchange: Exchange, { code, message, headers }: Refusal): void {
  answerJson(
    exchange,
    STATUS[code],
    { errors: [{ code: code === "RANGE_INVALID" ? "BLOB_UPLOAD_INVALID" : code, message }] },
    headers,
  );
}
