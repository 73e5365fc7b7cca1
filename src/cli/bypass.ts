import { createInterface } from "node:readline/promises";
import { Command, InvalidArgumentError } from "commander";
import {
  type AskingFlags,
  type ClusterOutcome,
  type ClusterVerb,
  runClusterVerb,
  withClusterFlags,
} from "./cluster-flags.ts";

interface ChangeOptions extends AskingFlags {
  readonly dryRun?: true;
}

interface OnOptions extends ChangeOptions {
  readonly reason: string;
  readonly unfiltered?: true;
  readonly yes?: true;
}

const REASON_CHARACTERS = 500;

/** The verb `wasmount bypass`: break the glass, and mend it. */
export function bypassCommand(): Command {
  return new Command("bypass")
    .summary("take wasmount out of the way of pods, and put it back")
    .description("Break-glass: has API servers leave wasmount's webhook out, and takes that back.")
    .addCommand(onCommand())
    .addCommand(offCommand())
    .addCommand(statusCommand());
}

function onCommand(): Command {
  const command = new Command("on")
    .summary("leave the webhook out")
    .description(
      "Has API servers ask wasmount's webhook about no pod any more. Pods that ask for filters are still refused, by a " +
        "policy inside the API servers; --unfiltered lets them start without their filters.",
    )
    .requiredOption("--reason <text>", "why, for the record and for whoever comes after", reasonText)
    .option("--unfiltered", "pods may start WITHOUT the filters that they ask for")
    .option("--dry-run", "change nothing, but have the API server check all changes")
    .option("-y, --yes", "don't ask");
  return withClusterFlags(command)
    .addHelpText(
      "after",
      `
What it changes: each entry of the registrations (MutatingWebhookConfiguration and ValidatingWebhookConfiguration wasmount)
gets a match condition that is never met, and with --unfiltered the binding of policy wasmount-unfiltered-pods warns in
place of refusing. What was there before, who did it, when and why stand in annotation wasmount.dev/bypass. It counts
within a second or so. Running it again completes what was begun; \`bypass off\` puts back exactly what was there.

A helm upgrade or a GitOps controller may take it back on its own: pause it first. Needs the rights to get and update
these objects. docs/break-glass.md tells when to use it, and what holds meanwhile.

Exit codes: 0 done, 2 wrong usage, not confirmed, or the cluster refuses.

Examples:
  $ wasmount bypass on --reason "webhook answers 500, INC-4711"
  $ wasmount bypass on --unfiltered --reason "shop is down, INC-4711" --yes
  $ wasmount bypass on --dry-run --reason "drill"
`,
    )
    .action(async (options: OnOptions) => {
      await runClusterVerb("bypass on", options, async verb => {
        const { bypassOn } = await import("../diagnosis/bypass.ts");
        const { reason, unfiltered = false, dryRun = false } = options;
        if (!dryRun && !options.yes) await confirm(unfiltered);
        return outcome(verb, dryRun, await bypassOn(verb.cluster, { reason, unfiltered, dryRun }));
      });
    });
}

function offCommand(): Command {
  const command = new Command("off")
    .summary("ask the webhook again")
    .description("Takes `bypass on` back: registrations and policies are as they were, and refuse as they did.")
    .option("--dry-run", "change nothing, but have the API server check all changes");
  return withClusterFlags(command)
    .addHelpText(
      "after",
      `
Pods that were created without filters meanwhile stay so until they are created anew: wasmount status -A lists them.

Exit codes: 0 done, 2 wrong usage, or the cluster refuses.

Examples:
  $ wasmount bypass off
  $ wasmount bypass off && wasmount status -A
`,
    )
    .action(async (options: ChangeOptions) => {
      await runClusterVerb("bypass off", options, async verb => {
        const { bypassOff } = await import("../diagnosis/bypass.ts");
        const { dryRun = false } = options;
        return outcome(verb, dryRun, await bypassOff(verb.cluster, dryRun));
      });
    });
}

function statusCommand(): Command {
  const command = new Command("status")
    .summary("is wasmount bypassed?")
    .description("Says whether wasmount is bypassed, since when, by whom and why, and what is refused all the same.");
  return withClusterFlags(command)
    .addHelpText(
      "after",
      `
Exit codes: 0 not bypassed, 1 bypassed, or not registered at all, 2 wrong usage, or the cluster can't be read.

Examples:
  $ wasmount bypass status
  $ wasmount bypass status --json | jq -r '.objects[] | select(.mark) | .mark.reason'
`,
    )
    .action(async (options: AskingFlags) => {
      await runClusterVerb("bypass status", options, async ({ cluster }) => {
        const { bypassState } = await import("../diagnosis/bypass.ts");
        const { bypassText } = await import("../diagnosis/bypass-text.ts");
        const state = await bypassState(cluster);
        const wrong = state.webhook || !state.registered || state.unfiltered;
        return { text: bypassText(state), json: state, exitCode: wrong ? 1 : 0 };
      });
    });
}

async function outcome({ cluster }: ClusterVerb, dryRun: boolean, changed: readonly string[]): Promise<ClusterOutcome> {
  const { bypassState } = await import("../diagnosis/bypass.ts");
  const { bypassText } = await import("../diagnosis/bypass-text.ts");
  const state = await bypassState(cluster);
  const did = dryRun ? "would change" : "changed";
  const head = changed.length === 0 ? "nothing to change\n" : changed.map(object => `${did} ${object}\n`).join("");
  return { text: `${head}${dryRun ? "" : bypassText(state)}`, json: { changed, dryRun, ...state }, exitCode: 0 };
}

/** @throws DiagnosisError where nobody can be asked, or the answer is no */
async function confirm(unfiltered: boolean): Promise<void> {
  const { DiagnosisError } = await import("../diagnosis/error.ts");
  if (!process.stdin.isTTY) throw new DiagnosisError("Refused", "say --yes where nobody can be asked");
  const what = unfiltered
    ? "Pods will start WITHOUT the filters that they ask for, until `wasmount bypass off`."
    : "wasmount's webhook will not be asked about any pod, until `wasmount bypass off`. Pods that ask for filters are refused.";
  const dialogue = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await dialogue.question(`${what}\nType yes to go on: `);
    if (answer.trim() !== "yes") throw new DiagnosisError("Refused", "not confirmed, nothing was changed");
  } finally {
    dialogue.close();
  }
}

function reasonText(text: string): string {
  const reason = text.trim();
  if (reason === "" || reason.length > REASON_CHARACTERS) {
    throw new InvalidArgumentError(`a reason has 1 to ${REASON_CHARACTERS} characters`);
  }
  return reason;
}
