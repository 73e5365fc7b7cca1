import { Command } from "commander";
import { EXIT_CODES, type ImageFlags, withImageFlags } from "./image-flags.ts";
import { type ImageVerb, type Outcome, runImageVerb } from "./image-verb.ts";

/** The verb `wasmount logout REGISTRY`. */
export function logoutCommand(): Command {
  const command = new Command("logout")
    .summary("forget a registry's user name and password")
    .description("Removes a registry's login from docker's configuration and from the credential helper that it names.")
    .argument("<registry>", "such as registry.example or registry.example:5000");
  return withImageFlags(command)
    .addHelpText(
      "after",
      `
Examples:
  $ wasmount logout registry.example

${EXIT_CODES}
`,
    )
    .action((text: string, options: ImageFlags) =>
      runImageVerb(
        "logout",
        "logging out",
        options,
        () => [],
        verb => logout(text, verb),
      ),
    );
}

async function logout(text: string, { docker, note }: ImageVerb): Promise<Outcome> {
  const { registryPlace } = await import("../images/place.ts");
  const { removeLogin } = await import("../docker/stored-login.ts");
  const { registry } = registryPlace(text).reference;
  const removed = await removeLogin(registry, docker);
  if (!removed) note(`there was no login for ${registry}`);
  return { text: removed ? `logged out of ${registry}\n` : "", json: { registry, removed } };
}
