import { Command } from "commander";
import { messageOf } from "../error.ts";
import { attachCommand } from "./attach.ts";
import { beforeUpgradeCommand } from "./before-upgrade.ts";
import { bypassCommand } from "./bypass.ts";
import { checkCommand } from "./check.ts";
import { copyCommand } from "./copy.ts";
import { doctorCommand } from "./doctor.ts";
import { fetchCommand } from "./fetch.ts";
import { injectCommand } from "./inject.ts";
import { inspectCommand } from "./inspect.ts";
import { listCommand } from "./list.ts";
import { loginCommand } from "./login.ts";
import { logoutCommand } from "./logout.ts";
import { planCommand } from "./plan.ts";
import { policyCommand } from "./policy.ts";
import { pullCommand } from "./pull.ts";
import { pushCommand } from "./push.ts";
import { selfTestCommand } from "./self-test.ts";
import { signCommand } from "./sign.ts";
import { statusCommand } from "./status.ts";
import { tagCommand } from "./tag.ts";
import { uninstallCommand } from "./uninstall.ts";
import { verifyCommand } from "./verify.ts";
import { version } from "./version.ts";
import { webhookCommand } from "./webhook.ts";

const program = new Command("wasmount")
  .description("Puts verified WebAssembly filters into Envoy sidecars.")
  .version(version, "-V, --version", "print the version")
  .showSuggestionAfterError()
  .showHelpAfterError("(wasmount --help lists the commands)")
  .addHelpText(
    "after",
    `
Examples:
  $ wasmount check filter.wasm                        can Envoy load this module?
  $ wasmount push filter.wasm registry.example/team/filter:1.0
  $ wasmount webhook --config wasmount.yaml           serve admission
  $ wasmount inject -f deployment.yaml --explain      what would the webhook make of it?
  $ kubectl get pod shop -o yaml | wasmount plan show  what was decided for a pod?
  $ wasmount fetch                                    execute the plan in the environment (the init container)
`,
  )
  .addCommand(webhookCommand())
  .addCommand(fetchCommand())
  .addCommand(checkCommand())
  .addCommand(pushCommand())
  .addCommand(pullCommand())
  .addCommand(tagCommand())
  .addCommand(listCommand())
  .addCommand(inspectCommand())
  .addCommand(copyCommand())
  .addCommand(signCommand())
  .addCommand(verifyCommand())
  .addCommand(policyCommand())
  .addCommand(loginCommand())
  .addCommand(logoutCommand())
  .addCommand(injectCommand())
  .addCommand(attachCommand())
  .addCommand(planCommand())
  .addCommand(statusCommand())
  .addCommand(doctorCommand())
  .addCommand(bypassCommand())
  .addCommand(selfTestCommand())
  .addCommand(beforeUpgradeCommand())
  .addCommand(uninstallCommand());

for (const command of [program, ...program.commands, ...program.commands.flatMap(({ commands }) => commands)]) {
  // Usage errors are 2, as every verb documents; commander's own is 1.
  command.exitOverride(error => {
    process.exit(error.exitCode === 0 ? 0 : 2);
  });
}

// Whoever reads our output may have read enough: `wasmount check … | head`.
process.stdout.on("error", error => {
  if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
  process.exit();
});

program.parseAsync(process.argv).catch(error => {
  process.stderr.write(`wasmount: ${messageOf(error)}\n`);
  process.exitCode = 1;
});
