import { once } from "node:events";

/** Waits until a signal is aborted, which it may be already. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}
