import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import { CodedError } from "../error.ts";
import { version } from "./version.ts";

/** Exit codes: 0 the release may be removed, 1 injected pods run, 2 a usage error or an API server that can't be asked. */
export function uninstallCommand(): Command {
  return new Command("uninstall")
    .summary("prepare the removal of wasmount from a cluster")
    .description(
      "Refuses while injected pods run, unless wasmount's namespace is annotated wasmount.dev/force-uninstall=true. Then removes bindings of guards, registrations, the webhook's Deployment, and the Secrets, ConfigMaps and Lease that the webhook made. `helm uninstall` runs this first; what manifests/install.yaml applied is then to be deleted by kubectl.",
    )
    .option("-n, --namespace <name>", "wasmount's own namespace", "wasmount-system")
    .addHelpText(
      "after",
      `
Examples:
  $ wasmount uninstall && kubectl delete -f manifests/install.yaml
  $ kubectl annotate namespace wasmount-system wasmount.dev/force-uninstall=true   go on while injected pods run
`,
    )
    .action(async ({ namespace }: { readonly namespace: string }) => {
      const { openCalls } = await import("../hooks/calls.ts");
      const { uninstall } = await import("../hooks/uninstall.ts");
      try {
        const done = await uninstall({
          ask: openCalls(`wasmount/${version}`),
          namespace,
          clock: () => performance.now(),
          sleep: milliseconds => sleep(milliseconds),
          say: line => process.stdout.write(`${line}\n`),
        });
        process.exitCode = done ? 0 : 1;
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
        process.stderr.write(`wasmount uninstall: ${error.message}\n`);
        process.exitCode = 2;
      }
    });
}
