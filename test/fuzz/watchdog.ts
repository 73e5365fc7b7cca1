import { Worker } from "node:worker_threads";
import { MAX_INPUT } from "./mutation.ts";

const MAX_NAME = 64;

/** What the watched thread writes and the watching one reads. */
export interface CaseMemory {
  /** Number of the case, 0 for none; length of its target's name; length of its input. */
  readonly numbers: Int32Array;
  readonly name: Uint8Array;
  readonly input: Uint8Array;
}

export function caseMemory(memory: SharedArrayBuffer): CaseMemory {
  return {
    numbers: new Int32Array(memory, 0, 3),
    name: new Uint8Array(memory, 12, MAX_NAME),
    input: new Uint8Array(memory, 12 + MAX_NAME),
  };
}

/**
 * Sees, from another thread, that a case never ends, even one that never lets go of its own thread: writes its input to
 * the regressions and ends the process.
 */
export class Watchdog {
  readonly #memory: CaseMemory;
  readonly #worker: Worker;

  constructor(milliseconds: number) {
    const memory = new SharedArrayBuffer(12 + MAX_NAME + MAX_INPUT);
    this.#memory = caseMemory(memory);
    this.#worker = new Worker(new URL("./watchdog-worker.ts", import.meta.url), {
      workerData: { memory, milliseconds },
    });
  }

  begin(target: string, input: Buffer): void {
    const { numbers, name, input: copy } = this.#memory;
    const encoded = Buffer.from(target);
    name.set(encoded);
    copy.set(input);
    numbers[1] = encoded.length;
    numbers[2] = input.length;
    Atomics.store(numbers, 0, (Atomics.load(numbers, 0) % 1_000_000_000) + 1);
  }

  /** Between cases nothing is watched. */
  rest(): void {
    Atomics.store(this.#memory.numbers, 0, 0);
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}
