import { readFileSync } from "node:fs";

/**
 * The most memory that this process had resident at one time, in bytes. Linux tells it of the program alone (VmHWM);
 * getrusage's maximum outlives an exec, and would be that of the process that started this one.
 */
export function peakMemory(): number {
  if (process.platform !== "linux") return process.resourceUsage().maxRSS * 1024;
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) * 1024;
}
