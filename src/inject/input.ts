import { createReadStream } from "node:fs";
import { messageOf } from "../error.ts";
import { InjectError } from "./error.ts";

/** The largest input that is read, in bytes. */
export const MAX_BYTES = 16 * 1024 * 1024;

/** A text and how messages call it. */
export interface Input {
  readonly name: string;
  readonly text: string;
}

/**
 * Reads a file, or the standard input for "-". Every byte is kept: a byte order mark stays, and what is not UTF-8 is
 * refused rather than replaced.
 * @throws InjectError Unreadable, TooLarge
 */
export async function readInput(file: string, stdin: AsyncIterable<Uint8Array>): Promise<Input> {
  const name = file === "-" ? "standard input" : file;
  const bytes = await readBytes(file === "-" ? stdin : createReadStream(file), name);
  try {
    return { name, text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch (error) {
    throw new InjectError("Unreadable", `${name} is not UTF-8: save it in that encoding`, { cause: error });
  }
}

async function readBytes(stream: AsyncIterable<Uint8Array>, name: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of stream) {
      size += chunk.length;
      if (size > MAX_BYTES) break;
      chunks.push(chunk);
    }
  } catch (error) {
    throw new InjectError("Unreadable", `${name} can't be read: ${messageOf(error)}`, { cause: error });
  }
  if (size > MAX_BYTES) {
    throw new InjectError("TooLarge", `${name} has more than ${MAX_BYTES} bytes: split it`);
  }
  return Buffer.concat(chunks);
}
