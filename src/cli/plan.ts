import { readFile } from "node:fs/promises";
import { Command } from "commander";
import { CodedError } from "../error.ts";

interface ShowOptions {
  readonly json?: boolean;
}

interface VerifyOptions {
  readonly key: readonly string[];
}

export function planCommand(): Command {
  return new Command("plan")
    .description("Read the plan that an injected pod carries.")
    .addCommand(showCommand())
    .addCommand(verifyCommand());
}

function showCommand(): Command {
  return new Command("show")
    .description("Print a pod's plan: its filters, their digests and slots, the bootstrap, the limits.")
    .argument("[file]", "a pod's manifest in YAML or JSON, - for standard input", "-")
    .option("--json", "print the plan as it is")
    .addHelpText(
      "after",
      `
Examples:
  $ kubectl get pod shop -o yaml | wasmount plan show
  $ wasmount plan show pod.yaml --json
`,
    )
    .action((file: string, options: ShowOptions) =>
      reported("show", async () => {
        const { podPlan } = await import("../plan/pod-plan.ts");
        const { planText } = await import("../plan/plan-text.ts");
        const found = podPlan(await read(file), nameOf(file));
        process.stdout.write(options.json ? `${JSON.stringify(found.plan, null, 2)}\n` : planText(found));
      }),
    );
}

function verifyCommand(): Command {
  return new Command("verify")
    .description("Check that a pod's plan is whole and signed for the pod's namespace and controlling owner.")
    .argument("[file]", "a pod's manifest in YAML or JSON, - for standard input", "-")
    .requiredOption("--key <file...>", "public keys of the release (PEM); one of them must have signed")
    .addHelpText(
      "after",
      `
Exit codes: 0 the signature is good, 1 it is not, 2 there is no plan or no key to check with.

Examples:
  $ kubectl get pod shop -o yaml | wasmount plan verify --key plan.pub
`,
    )
    .action((file: string, options: VerifyOptions) =>
      reported("verify", async () => {
        const { podPlan } = await import("../plan/pod-plan.ts");
        const { readPlanKeys, verifyPlan } = await import("../plan/signature.ts");
        const keys = readPlanKeys(await Promise.all(options.key.map(path => readFile(path, "utf8"))));
        const { hash, plan, signature, namespace, owner } = podPlan(await read(file), nameOf(file));
        const keyId = verifyPlan({ hash, namespace, owner }, signature, keys);
        const subject = owner === "" ? "no controlling owner" : `owner ${owner}`;
        process.stdout.write(
          `plan ${hash.slice(0, 12)} with ${plan.filters.length} filter(s) is signed by key ${keyId} for namespace ${namespace}, ${subject}\n`,
        );
      }),
    );
}

/** Puts an expected failure into one line and an exit code: 1 for a bad signature, 2 for what can't be checked. */
async function reported(verb: string, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    const unreadable = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (!(error instanceof CodedError) && !unreadable) throw error;
    process.stderr.write(`wasmount plan ${verb}: ${(error as Error).message}\n`);
    process.exitCode =
      error instanceof CodedError && ["BadSignature", "UnknownKey", "HashMismatch"].includes(error.code) ? 1 : 2;
  }
}

function nameOf(file: string): string {
  return file === "-" ? "standard input" : file;
}

async function read(file: string): Promise<string> {
  if (file !== "-") return readFile(file, "utf8");
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
