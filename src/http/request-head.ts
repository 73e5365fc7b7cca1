import { HttpError } from "./error.ts";

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const TARGET = /^[!-~]+$/;
const VALUE = /^[\t -~\x80-\xff]*$/;

/**
 * What a request begins with (RFC 9112 sections 3 and 5), one character a byte.
 * @param target in origin, absolute or authority form
 * @throws {HttpError} BadRequest, naming the field and not its value, which may be a secret
 */
export function requestHead(method: string, target: string, headers: Readonly<Record<string, string>>): string {
  if (!TOKEN.test(method) || !TARGET.test(target)) {
    throw new HttpError("BadRequest", "the request's method or target has characters that HTTP doesn't allow");
  }
  let text = `${method} ${target} HTTP/1.1\r\n`;
  for (const name of Object.keys(headers)) {
    const value = headers[name] ?? "";
    if (!TOKEN.test(name) || !VALUE.test(value)) {
      throw new HttpError("BadRequest", `the header ${name} has characters that HTTP doesn't allow`);
    }
    text += `${name}: ${value}\r\n`;
  }
  return `${text}\r\n`;
}
