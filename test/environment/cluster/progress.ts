import type { WriteStream } from "node:tty";

/** Takes one line about what is being done now; the next line ends it. */
export type Progress = (line: string) => void;

/** A progress for a program: lines with elapsed seconds, counted live on a terminal. Call `end` after the last line. */
export interface Reporter {
  readonly progress: Progress;
  readonly end: () => void;
}

/** How often a line that takes long says so: on a terminal it is rewritten, elsewhere repeated. */
const tick = { terminal: 1000, elsewhere: 30_000 } as const;

/** Reports to a stream, by the clock given (milliseconds). */
export function reporter(stream: WriteStream, now: () => number): Reporter {
  let current: { readonly line: string; readonly started: number } | null = null;
  let timer: NodeJS.Timeout | null = null;
  const live = stream.isTTY === true;

  const elapsed = () => (current ? Math.round((now() - current.started) / 1000) : 0);
  const repeat = () => {
    if (!current) return;
    stream.write(live ? `\r\x1b[K${current.line} … ${elapsed()} s` : `  still ${current.line} (${elapsed()} s)\n`);
  };
  const end = () => {
    if (timer) clearInterval(timer);
    if (current && live) stream.write(`\r\x1b[K${current.line}\n`);
    timer = null;
    current = null;
  };
  const progress = (line: string) => {
    end();
    current = { line, started: now() };
    stream.write(live ? line : `${line}\n`);
    timer = setInterval(repeat, live ? tick.terminal : tick.elsewhere);
    timer.unref();
  };
  return { progress, end };
}
