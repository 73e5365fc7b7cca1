import { once } from "node:events";

/** Waits until a signal is aborted, which it may be already. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}

/**
 * What comes of some work, unless a signal is aborted first; the work itself goes on.
 * @param reason what is thrown then, in place of the signal's own reason
 * @throws that, and what the work throws
 */
export async function unlessAborted<Value>(
  signal: AbortSignal,
  work: Promise<Value>,
  reason: () => unknown = () => signal.reason,
): Promise<Value> {
  const { promise: never, reject } = Promise.withResolvers<never>();
  const give = () => reject(reason());
  if (signal.aborted) give();
  else signal.addEventListener("abort", give, { once: true });
  try {
    return await Promise.race([never, work]);
  } finally {
    signal.removeEventListener("abort", give);
  }
}

/** Waits until some work is done, and no longer than so many milliseconds. @throws what the work throws meanwhile */
export async function doneWithin(milliseconds: number, work: Promise<unknown>): Promise<void> {
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  try {
    await Promise.race([work, over]);
  } finally {
    clearTimeout(timer);
  }
}
