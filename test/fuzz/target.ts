import type { Arbitrary } from "fast-check";

/** What is fuzzed: a reader of strangers' bytes. */
export interface FuzzTarget {
  /** Also the name of its folder of regressions. */
  readonly name: string;
  /** Valid inputs, which are what gets broken. */
  readonly seeds: readonly Buffer[];
  /** Pieces of the format, put in anywhere. */
  readonly tokens?: readonly string[];
  /** Inputs broken in a way of the format's own; half of all, where there are any. */
  readonly inputs?: Arbitrary<Buffer>;
  /** Reads the input. Throws where the reader did anything but read it or refuse it with its own error class. */
  run(input: Buffer): Promise<void> | void;
}

type ErrorClass = abstract new (...args: never) => Error;

/** Whether `read` did its work (true) or refused with an error of this class (false); any other error is passed on. */
export async function readOrRefused(refusal: ErrorClass, read: () => unknown): Promise<boolean> {
  try {
    await read();
    return true;
  } catch (error) {
    if (error instanceof refusal) return false;
    throw error;
  }
}

/** The input as a stream, in pieces whose size depends on nothing but the input. */
export async function* streamed(input: Buffer): AsyncGenerator<Buffer> {
  const size = 1 + (input.reduce((sum, byte) => sum + byte, 0) % 5000);
  for (let at = 0; at < input.length; at += size) yield input.subarray(at, at + size);
}
