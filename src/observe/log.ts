import { destination, type Logger, pino } from "pino";

export type { Logger } from "pino";

/**
 * The process's logger: one JSON object a line on stderr, with ISO times. Each line is written before the next step:
 * handing it to Node's thread pool costs more than the write itself, and a process that is killed would lose it.
 */
export function createLogger(level: string): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: label => ({ level: label }) },
    },
    destination({ fd: 2, sync: true }),
  );
}
