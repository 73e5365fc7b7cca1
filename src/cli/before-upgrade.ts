import { Command, InvalidArgumentError } from "commander";
import { CodedError } from "../error.ts";
import { version } from "./version.ts";

interface BeforeUpgradeOptions {
  readonly namespace: string;
  readonly istioSlots: number;
  readonly istioNamespace: string;
  readonly kumaSlots: number;
  readonly kumaNamespace: string;
  readonly kumaMeshes: string;
  readonly mountPath: string;
}

/** Exit codes: 0 the release may be upgraded, 1 pods would lose slots, 2 a usage error or an API server that can't be asked. */
export function beforeUpgradeCommand(): Command {
  return new Command("before-upgrade")
    .summary("refuse an upgrade that takes slots from running pods")
    .description(
      "Compares the slots of Istio and Kuma that an upgrade installs with those of the release that is installed. Refuses where running pods carry slots that would go or change, unless wasmount's namespace is annotated wasmount.dev/force-upgrade=true. `helm upgrade` and `helm rollback` run this first.",
    )
    .option("-n, --namespace <name>", "wasmount's own namespace", "wasmount-system")
    .requiredOption("--istio-slots <n>", "istio.slots of the upgrade; 0 where istio.enabled is false", slots)
    .option("--istio-namespace <name>", "istio.rootNamespace of the upgrade", "istio-system")
    .option("--kuma-slots <n>", "kuma.slots of the upgrade; 0 where dataPlanes has no kuma", slots, 0)
    .option("--kuma-namespace <name>", "kuma.systemNamespace of the upgrade", "kuma-system")
    .option("--kuma-meshes <names>", "kuma.meshes of the upgrade, with commas", "default")
    .option("--mount-path <path>", "volume.mountPath of the upgrade", "/wasmount")
    .addHelpText(
      "after",
      `
Example:
  $ wasmount before-upgrade --istio-slots 2
`,
    )
    .action(async (options: BeforeUpgradeOptions) => {
      const { namespace, mountPath } = options;
      const wanted = {
        istio: { slots: options.istioSlots, namespace: options.istioNamespace, meshes: [] },
        kuma: { slots: options.kumaSlots, namespace: options.kumaNamespace, meshes: options.kumaMeshes.split(",") },
        mountPath,
      };
      const { openCalls } = await import("../hooks/calls.ts");
      const { mayUpgrade } = await import("../hooks/upgrade.ts");
      try {
        const ask = openCalls(`wasmount/${version}`);
        const may = await mayUpgrade(wanted, { ask, namespace, say: line => process.stdout.write(`${line}\n`) });
        process.exitCode = may ? 0 : 1;
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
        process.stderr.write(`wasmount before-upgrade: ${error.message}\n`);
        process.exitCode = 2;
      }
    });
}

function slots(text: string): number {
  if (!/^\d{1,2}$/.test(text)) throw new InvalidArgumentError("a number from 0 to 99");
  return Number(text);
}
