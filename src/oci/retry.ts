import { RegistryError, type RegistryErrorCode } from "./error.ts";

/** How often and how patiently a failed read is tried again. Times in milliseconds. */
export interface RetryPolicy {
  /** Tries in all, the first one included. */
  readonly attempts: number;
  /** The wait before the second try; it doubles from there. */
  readonly baseMs: number;
  /** The longest wait. A registry that asks for more is not waited for. */
  readonly maxMs: number;
}

export const DEFAULT_RETRY: RetryPolicy = { attempts: 4, baseMs: 250, maxMs: 5_000 };

export interface Waiting {
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Resolves after so many milliseconds, rejects when the signal is aborted. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

const PASSING: readonly RegistryErrorCode[] = ["RateLimited", "Server", "Timeout", "Unreachable"];

/** Whether an error tells of something that may be over by the next try. */
export function isPassing(error: unknown): error is RegistryError {
  return error instanceof RegistryError && PASSING.includes(error.code);
}

/**
 * Runs a read until it succeeds, fails for a reason that won't pass, or has been tried often enough. Only for requests
 * that may be repeated.
 */
export async function retrying<T>(
  policy: RetryPolicy,
  { random, sleep }: Waiting,
  signal: AbortSignal,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await attempt();
    } catch (error) {
      await pauseAfter(error, tried, policy, { random, sleep }, signal);
    }
  }
}

/**
 * Waits for the next try.
 * @param tried how often it failed by now
 * @throws the error itself where no other try is left for it
 */
export async function pauseAfter(
  error: unknown,
  tried: number,
  policy: RetryPolicy,
  { random, sleep }: Waiting,
  signal: AbortSignal,
): Promise<void> {
  const wait = waitAfter(error, tried, policy, random);
  if (wait === null || signal.aborted) throw error;
  // Where there is no time left to wait, the failure says more than the clock.
  await sleep(wait, signal).catch(() => {
    throw error;
  });
}

function waitAfter(error: unknown, tried: number, policy: RetryPolicy, random: () => number): number | null {
  if (!isPassing(error) || tried >= policy.attempts) return null;
  if (error.retryAfterMs !== null) return error.retryAfterMs > policy.maxMs ? null : error.retryAfterMs;
  const wait = Math.min(policy.baseMs * 2 ** (tried - 1), policy.maxMs);
  // Between half and all of it, so that clients which failed together don't come back together.
  return wait * (0.5 + random() / 2);
}

/** IMF-fixdate and the obsolete form of RFC 850 (RFC 9110 section 5.6.7). */
const DATE = /^[A-Z][a-z]{2,8}, \d{2}[ -][A-Z][a-z]{2}[ -](?:\d{4}|\d{2}) \d{2}:\d{2}:\d{2} GMT$/;
/** The form of C's asctime, which is of UTC and does not say so. */
const ASCTIME = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/;

/** The milliseconds that a Retry-After header asks for (RFC 9110 section 10.2.3), or null. */
export function retryAfter(header: string | undefined, now: number): number | null {
  if (header === undefined) return null;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  // Anything else that Date.parse knows is no date of HTTP's: it takes "1.5" for a day in 2001.
  const date = Date.parse(ASCTIME.test(header) ? `${header} GMT` : (DATE.exec(header)?.[0] ?? ""));
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}
