import { writeFileSync } from "node:fs";
import { Command } from "commander";
import { executePlan } from "../fetcher/fetcher.ts";
import { failureOf } from "../fetcher/outcome.ts";
import { RegistryClient } from "../oci/client.ts";
import { planFromEnvironment } from "../plan/transport.ts";
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
configuration can't be edited, 6 the volume can't be written, 1 anything else. The reason is the last line of the
log, and the container's termination message.
`,
    )
    .action(async () => {
      try {
        await fetchAll();
      } catch (error) {
        const { exitCode, line } = failureOf(error);
        process.stderr.write(`${line}\n`);
        leaveTerminationMessage(line);
        process.exitCode = exitCode;
      }
    });
}

async function fetchAll(): Promise<void> {
  const started = performance.now();
  const { plan, hash } = planFromEnvironment(process.env);
  const client = new RegistryClient({
    registries: plan.registries,
    limits: plan.limits,
    signal: AbortSignal.timeout(plan.limits.deadlineMs),
    deadlineMs: plan.limits.deadlineMs,
    userAgent: `wasmount/${version}`,
  });
  try {
    const log = (line: string) => process.stdout.write(`wasmount-fetch: ${line}\n`);
    log(`plan ${hash.slice(0, 12)}: ${plan.filters.length} filter(s) for ${plan.dataPlane} ${plan.envoyVersion}`);
    const { modules, files } = await executePlan(plan, client, log);
    const milliseconds = Math.round(performance.now() - started);
    log(`done: ${modules} module(s), ${files} file(s) written and read back in ${milliseconds} ms`);
  } finally {
    client.close();
  }
}

/** The kubelet has made the file where there is one; elsewhere /dev is not ours to write to. */
function leaveTerminationMessage(line: string): void {
  try {
    writeFileSync("/dev/termination-log", line, { flag: "r+" });
  } catch {
    // The log's last line serves as the message: FallbackToLogsOnError.
  }
}
