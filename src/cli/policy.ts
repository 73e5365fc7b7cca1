import { Command } from "commander";
import { EXIT_CODES, type ImageFlags, type RegistryFlags, withImageFlags, withRegistryFlags } from "./image-flags.ts";
import { runImageVerb } from "./image-verb.ts";
import {
  type Judgement,
  judgement,
  type PolicyFlags,
  readPolicies,
  registryReference,
  withPolicyFlags,
} from "./trust-flags.ts";

interface TestOptions extends ImageFlags, RegistryFlags, PolicyFlags {
  readonly filename: readonly string[];
}

/** The verb `wasmount policy`, whose only one below it is `test`. */
export function policyCommand(): Command {
  return new Command("policy").description("Work with policies before a cluster does.").addCommand(testCommand());
}

function testCommand(): Command {
  const command = new Command("test")
    .summary("judge images by policies")
    .description("Says which policies are for each image, what they would decide, and why.")
    .argument("<image...>", "references: registry.example/team/filter:1.0")
    .requiredOption("-f, --filename <file...>", "policies (YAML)");
  return withImageFlags(withRegistryFlags(withPolicyFlags(command)))
    .addHelpText(
      "after",
      `
Exits with 1 where an image is denied. One image stands before the options, since -f takes all files that follow it.

Examples:
  $ wasmount policy test registry.example/team/filter:1.0 -f policy.yaml
  $ wasmount policy test registry.example/a:1 registry.example/b:1 -f policy.yaml -f more.yaml --unmatched Warn
  $ wasmount policy test registry.example/a:1 -f policy.yaml --material sigstore-root/trusted_root.json=root.json

${EXIT_CODES}
`,
    )
    .action(async (images: readonly string[], options: TestOptions) => {
      const { parsePlace } = await import("../images/place.ts");
      const places = () => images.map(image => [parsePlace(image), options] as const);
      await runImageVerb("policy test", "judging", options, places, async verb => {
        const { rulesFor } = await readPolicies(options.filename, options);
        const judged: Judgement[] = [];
        for (const image of images) {
          judged.push(await judgement(registryReference(parsePlace(image)), rulesFor, options.unmatched, verb));
        }
        if (judged.some(({ json }) => !json.allowed)) process.exitCode = 1;
        return { text: judged.map(({ text }) => text).join("\n"), json: judged.map(({ json }) => json) };
      });
    });
}
