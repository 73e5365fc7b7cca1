import { join } from "node:path";
import { messageOf } from "../error.ts";
import type { Credential, CredentialSource } from "../oci/credentials.ts";
import { dockerCredentials, parseDockerConfig, readDockerConfig } from "../oci/docker-config.ts";
import { readDockerConfigFile } from "../oci/docker-config-file.ts";
import { askHelper } from "./credential-helper.ts";

export interface LocalCredentialsOptions {
  /** Of the docker configuration. */
  readonly path: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Told what is passed over, one line for people each; never a secret. */
  readonly warn: (line: string) => void;
}

/** Where docker keeps its configuration: `$DOCKER_CONFIG`, else .docker in the home folder. */
export function dockerConfigPath(environment: LocalCredentialsOptions["environment"], home: string): string {
  return join(environment["DOCKER_CONFIG"] || join(home, ".docker"), "config.json");
}

/**
 * The credentials that Docker's tools keep on this machine: those of the credential helper that is configured for a
 * registry, then those of the file. A helper that fails is said and passed over: for a public image none is needed.
 * **For the command line alone: it runs programs that a file names.**
 * @throws {RegistryError} BadCredentials
 */
export async function localCredentials(options: LocalCredentialsOptions): Promise<CredentialSource> {
  const text = await readDockerConfigFile(options.path);
  if (text === null) return () => [];
  const { credsStore, credHelpers } = parseDockerConfig(text, options.path);
  const fromFile = dockerCredentials([readDockerConfig(text, options.path)]);
  const answers = new Map<string, Promise<readonly Credential[]>>();
  return async (registry, repository) => {
    const own = fromFile(registry, repository);
    const helper = helperFor(registry, credsStore, credHelpers);
    if (helper === null) return own;
    // A helper may ask the person who waits: once for each registry.
    const answer = answers.get(registry) ?? ask(helper, registry, options);
    answers.set(registry, answer);
    return [...(await answer), ...own];
  };
}

/** As docker looks for it: one registry's own, even where it is "" (none), before the one for all. */
export function helperFor(registry: string, store: unknown, helpers: unknown): string | null {
  const named: Readonly<Record<string, unknown>> =
    typeof helpers === "object" && helpers !== null ? { ...helpers } : {};
  const key = spellings(registry).find(spelling => Object.hasOwn(named, spelling));
  const helper = key === undefined ? store : named[key];
  return typeof helper === "string" && helper !== "" ? helper : null;
}

async function ask(
  helper: string,
  registry: string,
  { environment, warn }: LocalCredentialsOptions,
): Promise<readonly Credential[]> {
  const [server = registry] = spellings(registry);
  try {
    const credential = await askHelper(helper, server, { environment });
    return credential === null ? [] : [credential];
  } catch (error) {
    warn(`no credentials for ${registry}: ${messageOf(error)}`);
    return [];
  }
}

/** Under which names docker keeps a registry; the first is the one that helpers are asked by. */
export function spellings(registry: string): readonly string[] {
  return registry === "docker.io" ? ["https://index.docker.io/v1/", "index.docker.io", "docker.io"] : [registry];
}
