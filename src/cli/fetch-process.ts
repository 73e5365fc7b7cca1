import { writeFileSync } from "node:fs";
import { runFetcher } from "../fetcher/run.ts";
import { summaryLine } from "../fetcher/summary.ts";
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
  process.stdout.write(`${summaryLine({ ...run, compiled })}\n`);
  if (line === "") return;
  process.stderr.write(`${line}\n`);
  leaveTerminationMessage(line);
  process.exitCode = run.exitCode;
}

/** The kubelet has made the file where there is one; elsewhere /dev is not ours to write to. */
function leaveTerminationMessage(line: string): void {
  try {
    writeFileSync("/dev/termination-log", line, { flag: "r+" });
  } catch {
    // The log's last line serves as the message: FallbackToLogsOnError.
  }
}
