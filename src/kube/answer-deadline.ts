import { KubeError } from "./error.ts";

/**
 * Runs something that ends, at the latest, after so many milliseconds.
 * @throws KubeError Unreachable where it had no answer by then, and what it throws itself
 */
export async function withDeadline<Value>(
  outer: AbortSignal,
  milliseconds: number,
  run: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const stop = new AbortController();
  const why = new KubeError("Unreachable", `no answer within ${milliseconds} ms`);
  const timer = setTimeout(() => stop.abort(why), milliseconds);
  try {
    return await run(AbortSignal.any([outer, stop.signal]));
  } catch (error) {
    throw stop.signal.aborted ? why : error;
  } finally {
    clearTimeout(timer);
  }
}
