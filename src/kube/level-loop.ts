import { type Backoff, waitAfterFailures } from "./backoff.ts";

/** Times in milliseconds. */
export interface LevelLoopSettings {
  /** The longest time between two runs where nothing wakes the loop; the shortest is half of it. */
  readonly everyMs: number;
  /** After a run that changed something or failed: others run at the same time, and changes wake them all. */
  readonly backoff: Backoff;
}

export const LEVEL_LOOP_SETTINGS: LevelLoopSettings = {
  everyMs: 60_000,
  backoff: { baseMs: 250, maxMs: 30_000 },
};

/**
 * Where a run left things: all is as it should be; something was changed, or somebody else changed it; or it is waited for
 * something that takes so many milliseconds.
 */
export type LevelState = "there" | "moving" | { readonly waitMs: number };

export interface LevelLoopDependencies {
  /** Brings what is to what should be. */
  readonly run: (signal: AbortSignal) => Promise<LevelState>;
  /** Told of what `run` throws; the loop goes on. */
  readonly failed: (error: unknown) => void;
  readonly settings: LevelLoopSettings;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Resolves after so many milliseconds, rejects when the signal is aborted. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<unknown>;
}

/**
 * Runs something again and again, whatever happened before: at times, and when something changed. Timers count no time that
 * a machine sleeps, so the intervals are short, and what is due is for `run` to read from the wall clock.
 */
export class LevelLoop {
  readonly #given: LevelLoopDependencies;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;
  #woken = new AbortController();

  constructor(given: LevelLoopDependencies) {
    this.#given = given;
    this.#running = this.#turn();
  }

  /** Something changed: the next run is not waited for. */
  wake(): void {
    this.#woken.abort();
  }

  async close(): Promise<void> {
    this.#ending.abort(new Error("closed"));
    await this.#running;
  }

  async #turn(): Promise<void> {
    const { run, failed, settings, random } = this.#given;
    const { signal } = this.#ending;
    let restless = 0;
    while (!signal.aborted) {
      this.#woken = new AbortController();
      let state: LevelState = "moving";
      try {
        state = await run(signal);
      } catch (error) {
        if (signal.aborted) return;
        failed(error);
      }
      restless = state === "moving" ? restless + 1 : 0;
      if (state === "moving") {
        await this.#wait(waitAfterFailures(restless, settings.backoff, random), signal);
      } else {
        const longest = settings.everyMs * (0.5 + random() / 2);
        const milliseconds = state === "there" ? longest : Math.min(state.waitMs, longest);
        await this.#wait(milliseconds, AbortSignal.any([signal, this.#woken.signal]));
      }
    }
  }

  async #wait(milliseconds: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await this.#given.sleep(milliseconds, signal).catch(() => {});
  }
}
