import { Command } from "commander";

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
      const { fetchProcess } = await import("./fetch-process.ts");
      await fetchProcess();
      // And with it what is still open of registries.
      process.exit();
    });
}
