import { unlessAborted } from "../abort.ts";
import { KubeError } from "./error.ts";

/**
 * Until when somebody waits for an answer. Most answers come from memory, so the signal, and the timer behind it, are
 * made only where there is something to wait for.
 */
export class Deadline {
  readonly #milliseconds: number;
  readonly #endsAt: number;
  readonly #now: () => number;
  #signal: AbortSignal | null = null;

  /**
   * @param milliseconds from now
   * @param now milliseconds of a clock that never goes back
   */
  constructor(milliseconds: number, now: () => number = () => performance.now()) {
    this.#milliseconds = milliseconds;
    this.#endsAt = now() + milliseconds;
    this.#now = now;
  }

  /** Aborted once the time is over. */
  get signal(): AbortSignal {
    this.#signal ??= AbortSignal.timeout(Math.max(0, Math.ceil(this.#endsAt - this.#now())));
    return this.#signal;
  }

  /**
   * What comes of some work, as long as there is time; the work itself goes on.
   * @param what names the work in the error
   * @throws KubeError Deadline, and what the work throws
   */
  async wait<Value>(what: string, work: Promise<Value>): Promise<Value> {
    const over = () => new KubeError("Deadline", `no time left for ${what}: ${this.#milliseconds} ms are over`);
    return unlessAborted(this.signal, work, over);
  }
}
