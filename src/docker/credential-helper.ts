import { type ExecFileException, execFile } from "node:child_process";
import { delimiter, isAbsolute } from "node:path";
import type { IdentityToken, PasswordCredential } from "../oci/credentials.ts";
import { readLogin } from "../oci/docker-config.ts";
import { RegistryError } from "../oci/error.ts";
import { parseObject } from "../oci/json.ts";

export interface HelperOptions {
  /** The helper's own; its PATH, as far as it is absolute, is where the helper is looked for. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** In milliseconds. Long enough for a person who is asked for a password. */
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const MAX_OUTPUT = 128 * 1024;
/** Part of a program's name: nothing that leaves a folder, and nothing that is an option. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** How helpers say that they have nothing (docker-credential-helpers, credentials/error.go): words, and exit code 1. */
const NOT_FOUND = "credentials not found in native keychain";

/**
 * Asks a credential helper (docker-credential-helpers): runs `docker-credential-<name> get`, without a shell, with the
 * server on its standard input.
 * @returns null where the helper has nothing for the server
 * @throws {RegistryError} BadCredentials, without a word of what the helper wrote: it may be a secret
 */
export async function askHelper(
  name: string,
  server: string,
  { environment, timeoutMs = DEFAULT_TIMEOUT_MS }: HelperOptions,
): Promise<PasswordCredential | IdentityToken | null> {
  const program = programOf(name);
  const output = await run(program, "get", server, environment, timeoutMs);
  if (output === null) return null;
  const { Username: username, Secret: secret } = readAnswer(output, program);
  const login = readLogin(username, secret);
  if (login === null) throw bad(`${program} wrote no usable Username and Secret`);
  return login;
}

/** Gives a credential helper a login to keep, on its standard input alone. @throws {RegistryError} BadCredentials */
export async function storeInHelper(
  name: string,
  server: string,
  { username, password }: Pick<PasswordCredential, "username" | "password">,
  { environment, timeoutMs = DEFAULT_TIMEOUT_MS }: HelperOptions,
): Promise<void> {
  const login = JSON.stringify({ ServerURL: server, Username: username, Secret: password });
  await run(programOf(name), "store", login, environment, timeoutMs);
}

/** Has a credential helper forget a server. @throws {RegistryError} BadCredentials */
export async function eraseFromHelper(
  name: string,
  server: string,
  { environment, timeoutMs = DEFAULT_TIMEOUT_MS }: HelperOptions,
): Promise<void> {
  await run(programOf(name), "erase", server, environment, timeoutMs);
}

function programOf(name: string): string {
  if (!NAME.test(name)) throw bad("the name of a credential helper is made of letters, digits, '.', '_' and '-'");
  return `docker-credential-${name}`;
}

function readAnswer(output: Buffer, program: string): { readonly Username?: unknown; readonly Secret?: unknown } {
  try {
    return parseObject(output, `what ${program} wrote`, "BadCredentials");
  } catch (error) {
    throw error instanceof RegistryError ? error.withoutDetail() : error;
  }
}

function run(
  program: string,
  verb: "get" | "store" | "erase",
  input: string,
  environment: HelperOptions["environment"],
  timeout: number,
): Promise<Buffer | null> {
  // A relative PATH would run what lies in the folder that we happen to be in.
  const path = (environment["PATH"] ?? "").split(delimiter).filter(isAbsolute).join(delimiter);
  const options = {
    env: { ...environment, PATH: path },
    shell: false,
    timeout,
    killSignal: "SIGKILL",
    maxBuffer: MAX_OUTPUT,
    encoding: "buffer",
    windowsHide: true,
  } as const;
  return new Promise((resolve, reject) => {
    const child = execFile(program, [verb], options, (error, output) => {
      if (error === null) resolve(output);
      else if (error.code === 1 && output.toString().trim() === NOT_FOUND) resolve(null);
      else reject(bad(`${program} ${failureOf(error, timeout)}`));
    });
    // One that asks nothing closes its input: what it answers decides.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });
}

function failureOf({ code, killed, signal }: ExecFileException, timeout: number): string {
  if (code === "ENOENT") return "is not in any absolute folder of PATH";
  if (code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER") return `wrote more than ${MAX_OUTPUT} bytes`;
  if (killed) return `did not answer within ${timeout} ms`;
  if (typeof code === "number") return `failed with exit code ${code}; run it by hand to see why`;
  return `could not be run (${code ?? signal ?? "unknown"})`;
}

function bad(message: string): RegistryError {
  return new RegistryError("BadCredentials", message);
}
