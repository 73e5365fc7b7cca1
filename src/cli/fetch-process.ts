import { writeFileSync } from "node:fs";
import { runFetcher } from "../fetcher/run.ts";
import { summaryLine } from "../fetcher/summary.ts";
import { terminationMessage } from "../fetcher/termination-message.ts";
import type { Compiled } from "./compiled-script.ts";
import { version } from "./version.ts";

/**
 * What the init container's process does: runs the fetcher on the environment, and leaves its reason where it is read.
 * @param compiled what became of the code that was compiled before
 */
export async function fetchProcess(compiled: Compiled = "absent"): Promise<void> {
  const log = (line: string) => process.stdout.write(`wasmount-fetch: ${line}\n`);
  // As process 1 of a container Node has no handlers of its own, and a pod's deletion would wait for the kill.
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stop.abort());
  const { line, ...run } = await runFetcher(process.env, `wasmount/${version}`, log, stop.signal);
  const summary = { ...run, compiled };
  process.stdout.write(`${summaryLine(summary)}\n`);
  if (line !== "") process.stderr.write(`${line}\n`);
  leaveTerminationMessage(terminationMessage(line, summary));
  process.exitCode = run.exitCode;
}

/** The kubelet has made the file where there is one; elsewhere /dev is not ours to write to. */
function leaveTerminationMessage(message: string): void {
  try {
    writeFileSync("/dev/termination-log", message, { flag: "r+" });
  } catch {
    // Of a failure, the log's last line serves as the message: FallbackToLogsOnError.
  }
}
