import { type DestinationStream, destination, type Logger, pino } from "pino";

export type { Logger } from "pino";

/** A text of lines that is this long, in UTF-16 code units, is written at once. */
const BATCH = 64 * 1024;

/**
 * The process's logger: one JSON object a line on stderr, with ISO times. The lines of one turn of the event loop are
 * written together at its end, and at the process's: where reviews come in dozens, a write for each line would be a
 * tenth of their time. A process that is killed loses those of the turn that it was in.
 */
export function createLogger(level: string): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: timestamps(Date.now),
      formatters: { level: label => ({ level: label }) },
    },
    inTurns(destination({ fd: 2, sync: true })),
  );
}

/** pino's part of a line for the time (ISO 8601, milliseconds). Only the end is written anew within one second. */
export function timestamps(now: () => number): () => string {
  let second = Number.NaN;
  let start = "";
  return () => {
    const time = now();
    const milliseconds = time % 1000;
    if (time - milliseconds !== second) {
      second = time - milliseconds;
      start = `,"time":"${new Date(second).toISOString().slice(0, -4)}`;
    }
    return `${start}${String(milliseconds).padStart(3, "0")}Z"`;
  };
}

/** Not by way of the thread pool: handing lines to it costs more than writing them. */
function inTurns(written: DestinationStream): DestinationStream {
  let lines = "";
  const flush = () => {
    const batch = lines;
    lines = "";
    if (batch !== "") written.write(batch);
  };
  process.on("exit", flush);
  return {
    write(line) {
      if (lines === "") setImmediate(flush);
      lines += line;
      if (lines.length >= BATCH) flush();
    },
  };
}
