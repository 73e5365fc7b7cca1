import { destination, type Logger, pino } from "pino";

export type { Logger } from "pino";

/** The process's logger: one JSON object a line on stderr, with ISO times. */
export function createLogger(level: string): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: label => ({ level: label }) },
    },
    destination({ fd: 2, sync: false }),
  );
}
