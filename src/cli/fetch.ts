import { writeFileSync } from "node:fs";
import { Command } from "commander";
import { version } from "./version.ts";

export function fetchCommand(): Command {
  return new Command("fetch")
    .description("Execute the plan in the environment: the entry of the init container wasmount-fetch.")
    .addHelpText(
      "after",
      `
Reads WASMOUNT_PLAN_0… and WASMOUNT_PLAN_SHA256, which the webhook wrote, and leaves on the shared volume the
verified modules, the filter files and the edited Envoy configuration. Nothing appears there half-written.

Exit codes: 0 done, 2 no usable plan, 3 the registry could not give a module, 4 a module is refused, 5 the Envoy
configuration can't be edited, 6 the volume can't be written, 143 told to end, 1 anything else. The reason is the last line of the
log, and the container's termination message.
`,
    )
    .action(async () => {
      const { runFetcher } = await import("../fetcher/run.ts");
      const log = (line: string) => process.stdout.write(`wasmount-fetch: ${line}\n`);
      // As process 1 of a container Node has no handlers of its own, and a pod's deletion would wait for the kill.
      const stop = new AbortController();
      for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stop.abort());
      const { exitCode, line } = await runFetcher(process.env, `wasmount/${version}`, log, stop.signal);
      if (line === "") return;
      process.stderr.write(`${line}\n`);
      leaveTerminationMessage(line);
      process.exitCode = exitCode;
    });
}

/** The kubelet has made the file where there is one; elsewhere /dev is not ours to write to. */
function leaveTerminationMessage(line: string): void {
  try {
    writeFileSync("/dev/termination-log", line, { flag: "r+" });
  } catch {
    // The log's last line serves as the message: FallbackToLogsOnError.
  }
}
