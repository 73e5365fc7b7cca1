import type { Config } from "../config/config.ts";
import { ConfigError } from "../config/error.ts";
import { messageOf } from "../error.ts";
import type { CredentialSource } from "../oci/credentials.ts";
import { type DockerAuth, dockerCredentials, readDockerConfig } from "../oci/docker-config.ts";
import { readDockerConfigFile } from "../oci/docker-config-file.ts";
import { RegistryError } from "../oci/error.ts";
import { type RepositoryPattern, readRepositoryPattern, servesRepository } from "../oci/repository-pattern.ts";

/** The operator's credentials as far as they serve one namespace. */
export interface NamespaceCredentials {
  /** The files are read at each call, so that a Secret which is exchanged counts at once. */
  readonly source: CredentialSource;
  /** Whether they are meant for a repository, whatever the files hold for it. */
  readonly serve: (registry: string, repository: string) => boolean;
}

interface Entry {
  readonly file: string;
  readonly patterns: readonly RepositoryPattern[];
}

/**
 * The operator's credentials by the namespaces that they serve.
 * @throws {ConfigError} Unusable, naming the entry whose file can't be used
 */
export async function readRegistryCredentials(
  config: Config["registryCredentials"],
): Promise<ReadonlyMap<string, NamespaceCredentials>> {
  await Promise.all(config.map(({ file }, index) => refuseUnusable(file, `registryCredentials.${index}.file`)));
  const entries = config.flatMap(({ file, namespaces, repositories }) => {
    const patterns = repositories.map(readRepositoryPattern).filter(pattern => pattern !== null);
    return namespaces.map(namespace => ({ namespace, file, patterns }));
  });
  const byNamespace = Map.groupBy(entries, ({ namespace }) => namespace);
  return new Map([...byNamespace].map(([namespace, own]) => [namespace, credentialsOf(own)]));
}

function credentialsOf(entries: readonly Entry[]): NamespaceCredentials {
  const fitting = (registry: string, repository: string) =>
    entries.filter(({ patterns }) => patterns.some(pattern => servesRepository(pattern, registry, repository)));
  return {
    serve: (registry, repository) => fitting(registry, repository).length > 0,
    source: async (registry, repository) => {
      const files = fitting(registry, repository).map(({ file }) => readCredentialFile(file));
      return dockerCredentials(await Promise.all(files))(registry, repository);
    },
  };
}

async function refuseUnusable(file: string, setting: string): Promise<void> {
  const auths = await readCredentialFile(file).catch(error => {
    throw new ConfigError("Unusable", `can't use ${setting}: ${messageOf(error)}`, { cause: error });
  });
  if (auths.length > 0) return;
  const advice = "write user names and passwords or tokens into auths; credential helpers are not run here";
  throw new ConfigError("Unusable", `can't use ${setting}: ${file} holds no credentials: ${advice}`);
}

async function readCredentialFile(file: string): Promise<readonly DockerAuth[]> {
  const text = await readDockerConfigFile(file);
  if (text === null) throw new RegistryError("BadCredentials", `the docker configuration ${file} does not exist`);
  return readDockerConfig(text, file);
}
