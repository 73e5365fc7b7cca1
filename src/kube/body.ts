import type { Readable } from "node:stream";
import { messageOf } from "../error.ts";
import { KubeError } from "./error.ts";

const NEWLINE = 0x0a;

/**
 * The lines of a body as they arrive. What stands after the last newline is cut off and not a line.
 * @throws KubeError TooLarge for a line of more than `maxBytes`, Unreachable where the connection breaks
 */
export async function* linesOf(body: Readable, maxBytes: number): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let held = 0;
  for await (const chunk of chunksOf(body)) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      parts.push(chunk.subarray(start, end));
      yield joined(parts, maxBytes);
      parts = [];
      held = 0;
      start = end + 1;
    }
    parts.push(chunk.subarray(start));
    held += chunk.length - start;
    if (held > maxBytes) throw tooLarge("a line", maxBytes);
  }
}

/**
 * A whole body that is JSON.
 * @throws KubeError TooLarge, Malformed, Unreachable where the connection breaks
 */
export async function jsonOf(body: Readable, maxBytes: number): Promise<unknown> {
  const parts: Buffer[] = [];
  let held = 0;
  for await (const chunk of chunksOf(body)) {
    held += chunk.length;
    if (held > maxBytes) throw tooLarge("an answer", maxBytes);
    parts.push(chunk);
  }
  return parseJson(joined(parts, maxBytes));
}

/** @throws KubeError Malformed */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new KubeError("Malformed", "the API server's answer is not JSON", { cause: error });
  }
}

async function* chunksOf(body: Readable): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of body) yield chunk as Buffer;
  } catch (error) {
    if (error instanceof KubeError) throw error;
    throw new KubeError("Unreachable", `the answer broke off: ${messageOf(error)}`, { cause: error });
  }
}

function joined(parts: readonly Buffer[], maxBytes: number): string {
  const whole = Buffer.concat(parts);
  if (whole.length > maxBytes) throw tooLarge("a line", maxBytes);
  return whole.toString("utf8");
}

function tooLarge(what: string, maxBytes: number): KubeError {
  return new KubeError("TooLarge", `${what} of the API server has more than ${maxBytes} bytes`);
}
