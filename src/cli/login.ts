import { Command } from "commander";
import { EXIT_CODES, type ImageFlags, type RegistryFlags, withImageFlags, withRegistryFlags } from "./image-flags.ts";
import { type ImageVerb, type Outcome, runImageVerb } from "./image-verb.ts";

interface LoginOptions extends ImageFlags, RegistryFlags {
  readonly username?: string;
  readonly passwordStdin?: true;
}

/** The verb `wasmount login REGISTRY`. */
export function loginCommand(): Command {
  const command = new Command("login")
    .summary("keep a registry's user name and password, after a check")
    .description(
      "Asks the registry whether it takes a user name and a password, and keeps them where docker, oras and crane look for " +
        "them: in docker's configuration, which only its owner may read, or in the credential helper that it names.",
    )
    .argument("<registry>", "such as registry.example or registry.example:5000")
    .option("-u, --username <name>", "asked for where it is left out")
    .option("--password-stdin", "read the password from the standard input");
  return withImageFlags(withRegistryFlags(command))
    .addHelpText(
      "after",
      `
A password is never an argument: every process of the machine could read it there.

Examples:
  $ wasmount login registry.example
  $ wasmount login registry.example -u robot --password-stdin < token.txt

${EXIT_CODES}
`,
    )
    .action(async (text: string, options: LoginOptions) => {
      const { registryPlace } = await import("../images/place.ts");
      await runImageVerb(
        "login",
        "logging in",
        options,
        () => [[registryPlace(text), options]],
        verb => login(text, options, verb),
      );
    });
}

async function login(text: string, options: LoginOptions, verb: ImageVerb): Promise<Outcome> {
  const { registryPlace } = await import("../images/place.ts");
  const { storeLogin } = await import("../docker/stored-login.ts");
  const { registry } = registryPlace(text).reference;
  const { username, password } = await credentials(registry, options, verb.signal);
  const client = verb.clientFor({ kind: "password", username, password });
  let checked: boolean;
  try {
    checked = await client.ping(registry, verb.signal);
  } finally {
    client.close();
  }
  const place = await storeLogin(registry, { username, password }, verb.docker);
  if (!checked) verb.note(`${registry} asks nobody for credentials at its door: these could not be checked`);
  return { text: `logged in to ${registry}, kept in ${place}\n`, json: { registry, username, checked, kept: place } };
}

async function credentials(
  registry: string,
  { username: given, passwordStdin }: LoginOptions,
  signal: AbortSignal,
): Promise<{ readonly username: string; readonly password: string }> {
  const { ask, readPassword } = await import("./password.ts");
  const { ImageError } = await import("../images/error.ts");
  if (passwordStdin && given === undefined)
    throw new ImageError(
      "BadFile",
      "the standard input holds the password, so the user name must come with --username",
    );
  if (!passwordStdin && !process.stdin.isTTY)
    throw new ImageError("BadFile", "there is no terminal to ask for a password; give it with --password-stdin");
  const username = given ?? (await ask(`User name for ${registry}: `, false, signal));
  if (!/^[^:\p{Cc}]{1,256}$/u.test(username))
    throw new ImageError("BadFile", "a user name has 1 to 256 characters, and no colon among them");
  if (passwordStdin) return { username, password: await readPassword(process.stdin) };
  return { username, password: await ask(`Password for ${username}: `, true, signal) };
}
