import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../src/error.ts";

/** What is looked for; null, undefined and false say that it is not there yet. */
type Sought<Value> = Value | null | undefined | false;

/** One look for something. */
export type Look<Value> = () => Sought<Value> | Promise<Sought<Value>>;

/** How something is waited for. */
export interface Patience {
  /** How long, at least one look in any case. */
  readonly seconds?: number;
  /** The pause between two looks, in milliseconds. */
  readonly pauseMs?: number;
  /** Whether an error of a look's only says that it is not there yet; else it is thrown at once. By default all do. */
  readonly bears?: (error: unknown) => boolean;
}

/**
 * Looks again and again until something is there.
 * @param what that is, as in "waited 90 s for WHAT"; a function where the text is that of the end
 * @returns what the look found
 * @throws Error with the last error of a look's where it is not there in time; at once, an error that is not borne
 */
export async function until<Value>(
  what: string | (() => string),
  look: Look<Value>,
  { seconds = 90, pauseMs = 200, bears = () => true }: Patience = {},
): Promise<Value> {
  const end = performance.now() + seconds * 1000;
  let last: unknown;
  for (;;) {
    try {
      const found = await look();
      if (found !== null && found !== undefined && found !== false) return found;
    } catch (error) {
      if (!bears(error)) throw error;
      last = error;
    }
    if (performance.now() >= end) break;
    await sleep(pauseMs);
  }
  const text = typeof what === "string" ? what : what();
  const problem = last === undefined ? "" : `: ${messageOf(last)}`;
  throw new Error(`waited ${seconds} s for ${text}${problem}`, { cause: last });
}
