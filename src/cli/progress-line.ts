import type { TransferWatcher } from "../images/images.ts";
import { sizeText } from "../images/size-text.ts";

/** A terminal, as far as a progress line needs one. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface ProgressLineOptions {
  /** What is being done, such as "pulling". */
  readonly doing: string;
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number;
}

const REDRAW_MS = 100;
const BAR_CELLS = 24;
const CLEAR = "\r\x1b[K";

/** One line about all transfers, drawn over itself. No colours, so there is nothing that NO_COLOR would take away. */
export class ProgressLine implements TransferWatcher {
  readonly #terminal: Terminal;
  readonly #options: ProgressLineOptions;
  #total = 0;
  #done = 0;
  #begun: number | null = null;
  #drawn = Number.NEGATIVE_INFINITY;

  constructor(terminal: Terminal, options: ProgressLineOptions) {
    this.#terminal = terminal;
    this.#options = options;
  }

  started({ size }: { readonly size: number }): void {
    this.#begun ??= this.#options.now();
    this.#total += size;
    this.#draw();
  }

  moved(bytes: number): void {
    this.#done += bytes;
    this.#draw();
  }

  finished(): void {
    this.#draw();
  }

  /** Takes the line away. It may come back with the next transfer. */
  clear(): void {
    if (this.#drawn === Number.NEGATIVE_INFINITY) return;
    this.#terminal.write(CLEAR);
    this.#drawn = Number.NEGATIVE_INFINITY;
  }

  #draw(): void {
    const now = this.#options.now();
    if (now - this.#drawn < REDRAW_MS) return;
    this.#drawn = now;
    const { doing } = this.#options;
    // A terminal that doesn't know its width says 0.
    const columns = this.#terminal.columns || 80;
    const seconds = (now - (this.#begun ?? now)) / 1000;
    const line = progressText(doing, this.#done, this.#total, seconds);
    this.#terminal.write(`${CLEAR}${line.slice(0, columns - 1)}`);
  }
}

/** "pulling [######------] 12.5 MiB of 40.0 MiB, 3.20 MiB/s". Bytes may come again, after a connection broke. */
export function progressText(doing: string, done: number, total: number, seconds: number): string {
  const share = total === 0 ? 0 : Math.min(done / total, 1);
  const filled = Math.floor(share * BAR_CELLS);
  const bar = `${"#".repeat(filled)}${"-".repeat(BAR_CELLS - filled)}`;
  const rate = seconds > 0 ? `, ${sizeText(done / seconds)}/s` : "";
  return `${doing} [${bar}] ${sizeText(Math.min(done, total))} of ${sizeText(total)}${rate}`;
}
