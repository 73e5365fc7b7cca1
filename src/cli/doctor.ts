import { Command } from "commander";
import { type AskingFlags, namespaceName, runClusterVerb, withClusterFlags } from "./cluster-flags.ts";
import { version } from "./version.ts";

interface DoctorOptions extends AskingFlags {
  readonly namespace: string;
}

/** The verb `wasmount doctor`. */
export function doctorCommand(): Command {
  const command = new Command("doctor")
    .summary("what is wrong with an installation, and what to do")
    .description("Checks an installation of wasmount from here, and says what to do about each thing that is wrong.")
    .option(
      "-n, --namespace <name>",
      "where a pod is tried, on a dry run: nothing is created",
      namespaceName,
      "default",
    );
  return withClusterFlags(command)
    .addHelpText(
      "after",
      `
Looks at the API server's version, a bypass, the configuration, the definitions of policies, the webhook's rights, its
replicas, registration, failure policy and certificates (of each replica, through the API server), the order of webhooks,
the guards, a pod on trial, policies, namespaces and pods. What it can't look at, since you lack a right, is a warning.
It changes nothing. docs/doctor.md lists everything that it may find.

Exit codes: 0 no failure (there may be warnings), 1 a failure, 2 wrong usage, or the cluster can't be read.

Examples:
  $ wasmount doctor
  $ wasmount doctor --context production -n shop
  $ wasmount doctor --json | jq -r '.checks[].findings[] | .severity + " " + .code + " " + .where'
`,
    )
    .action(async (options: DoctorOptions) => {
      const { examine } = await import("../diagnosis/doctor.ts");
      const { doctorText } = await import("../diagnosis/doctor-text.ts");
      const { findInstallation } = await import("../diagnosis/installation.ts");
      const { dataPlanesIn } = await import("../diagnosis/slots.ts");
      await runClusterVerb("doctor", options, async ({ cluster, terminal }) => {
        const installation = await findInstallation(cluster, options.systemNamespace);
        const { namespace } = options;
        const dataPlanes = await dataPlanesIn(cluster, installation.config);
        const checks = await examine({ cluster, installation, namespace, version, dataPlanes });
        return {
          text: doctorText(checks, terminal),
          json: { namespace: installation.ownNamespace, checks },
          exitCode: checks.some(({ result }) => result === "failure") ? 1 : 0,
        };
      });
    });
}
