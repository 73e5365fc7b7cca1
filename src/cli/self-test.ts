import { Command } from "commander";
import { CodedError } from "../error.ts";
import { version } from "./version.ts";

interface SelfTestOptions {
  readonly namespace: string;
  readonly module: string;
  readonly acceptDenial?: true;
}

/** Exit codes: 0 passed, 1 not, 2 a usage error or an API server that can't be asked. */
export function selfTestCommand(): Command {
  return new Command("self-test")
    .summary("have an API server try a pod, without keeping it")
    .description(
      "Asks the API server, by a dry run, to create a pod with a filter: whether it calls the webhook, trusts its certificate, and gets the pod back with its fetcher. `helm test` runs this.",
    )
    .option("-n, --namespace <name>", "where the pod would be created", "default")
    .option(
      "--module <reference>",
      "the module that the pod asks for",
      `registry.example/wasmount/self-test@sha256:${"0".repeat(64)}`,
    )
    .option("--accept-denial", "pass where the webhook denies the pod, too: it was reached, and nothing more is known")
    .addHelpText(
      "after",
      `
Examples:
  $ wasmount self-test
  $ wasmount self-test -n shop --module registry.corp/filters/headers:1.0
`,
    )
    .action(async (options: SelfTestOptions) => {
      const { openCalls } = await import("../hooks/calls.ts");
      const { selfTest, selfTestText } = await import("../hooks/self-test.ts");
      try {
        const result = await selfTest(openCalls(`wasmount/${version}`), options);
        process.stdout.write(`${selfTestText(result, options)}\n`);
        const passed = result.outcome === "Injected" || (result.outcome === "Denied" && options.acceptDenial === true);
        process.exitCode = passed ? 0 : 1;
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
        process.stderr.write(`wasmount self-test: ${error.message}\n`);
        process.exitCode = 2;
      }
    });
}
