import { writeFileSync, writeSync } from "node:fs";
import { runFetcher } from "../fetcher/run.ts";
import { summaryLine } from "../fetcher/summary.ts";
import { terminationMessage } from "../fetcher/termination-message.ts";
import type { Compiled } from "./compiled-script.ts";
import { version } from "./version.ts";

/**
 * What the init container's process does: runs the fetcher on the environment, and leaves its reason where it is read. The
 * process is to be ended then.
 * @param compiled what became of the code that was compiled before
 */
export async function fetchProcess(compiled: Compiled = "absent"): Promise<void> {
  const log = (line: string) => say(1, `wasmount-fetch: ${line}\n`);
  // As process 1 of a container Node has no handlers of its own, and a pod's deletion would wait for the kill.
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stop.abort());
  const { line, ...run } = await runFetcher({
    environment: process.env,
    userAgent: `wasmount/${version}`,
    log,
    stop: stop.signal,
    isLast: true,
  });
  const summary = { ...run, compiled };
  say(1, `${summaryLine(summary)}\n`);
  if (line !== "") say(2, `${line}\n`);
  leaveTerminationMessage(terminationMessage(line, summary));
  process.exitCode = run.exitCode;
}

/** How long a line waits for a pipe that is full and was told by others not to wait, in milliseconds. */
const FULL_PIPE_MS = 1000;

/** Node's own streams for it take longer to load than all that is said. What nobody reads any more is not said. */
function say(descriptor: 1 | 2, text: string): void {
  const started = performance.now();
  for (let rest = Buffer.from(text); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      const isFull = (error as NodeJS.ErrnoException).code === "EAGAIN";
      if (!isFull || performance.now() - started > FULL_PIPE_MS) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

/** The kubelet has made the file where there is one; elsewhere /dev is not ours to write to. */
function leaveTerminationMessage(message: string): void {
  try {
    writeFileSync("/dev/termination-log", message, { flag: "r+" });
  } catch {
    // Of a failure, the log's last line serves as the message: FallbackToLogsOnError.
  }
}
