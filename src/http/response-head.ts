import { HttpError } from "./error.ts";

/** By lower-case name. What came more than once is joined by ", ", but for fields that have one value: of those the first counts. */
export type Headers = Readonly<Record<string, string | undefined>>;

export interface ResponseHead {
  /** 100 to 599. */
  readonly status: number;
  /** HTTP/1.0 or HTTP/1.1. */
  readonly minor: 0 | 1;
  readonly headers: Headers;
}

/** What a head begins with. */
export const HEAD_START = "HTTP/1.";
/** What ends it. */
export const HEAD_END = "\r\n\r\n";
/** As Node's servers and clients have it; a signed URL in a Location takes a few KiB. */
export const MAX_HEAD_BYTES = 16 * 1024;

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5][0-9][0-9])(?: [\t -~\x80-\xff]*)?$/;
const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t -~\x80-\xff]*)$/;
const SINGLE: ReadonlySet<string> = new Set(["content-type", "etag", "last-modified", "location", "retry-after"]);

/**
 * A response's status line and fields (RFC 9112 sections 4 and 5). Lines end with CRLF, no line is folded, no name has a
 * space behind it: whoever writes otherwise is misread by somebody on the way.
 * @param text one character a byte, with HEAD_END at its end
 * @throws {HttpError} NotHttp
 */
export function readHead(text: string): ResponseHead {
  const [first = "", ...lines] = text.slice(0, -HEAD_END.length).split("\r\n");
  const [, minor, status] = STATUS_LINE.exec(first) ?? [];
  if (status === undefined) throw new HttpError("NotHttp", "its first line is no status line of HTTP/1.1");
  const headers: Record<string, string> = Object.create(null);
  for (const line of lines) {
    const [, name, value] = FIELD.exec(line) ?? [];
    if (name === undefined || value === undefined) throw new HttpError("NotHttp", "a header field is malformed");
    add(headers, name.toLowerCase(), copied(withoutSpace(value)));
  }
  return { status: Number(status), minor: minor === "1" ? 1 : 0, headers };
}

/** Whether a line, without its end, is a field. */
export function isField(line: string): boolean {
  return FIELD.test(line);
}

function add(headers: Record<string, string>, name: string, value: string): void {
  const known = headers[name];
  if (known === undefined) headers[name] = value;
  else if (!SINGLE.has(name)) headers[name] = `${known}, ${value}`;
}

/** Of its own: a part of a string keeps the whole alive, and what is remembered of a head may be one value. */
function copied(value: string): string {
  return Buffer.from(value, "latin1").toString("latin1");
}

/** Without spaces and tabs around it, and no other characters: a pattern would take quadratic time for it. */
function withoutSpace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start += 1;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
