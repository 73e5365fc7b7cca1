import { realpath } from "node:fs/promises";
import { messageOf } from "../error.ts";
import type { PasswordCredential } from "../oci/credentials.ts";
import { parseDockerConfig } from "../oci/docker-config.ts";
import { readDockerConfigFile } from "../oci/docker-config-file.ts";
import { RegistryError } from "../oci/error.ts";
import { isFor, readPattern } from "../oci/registry-pattern.ts";
import { NewFile } from "../store/new-file.ts";
import { eraseFromHelper, storeInHelper } from "./credential-helper.ts";
import { helperFor, type LocalCredentialsOptions, spellings } from "./local-credentials.ts";

type Options = Pick<LocalCredentialsOptions, "path" | "environment">;
type Members = Record<string, unknown>;

/**
 * Keeps a login as docker does: in the credential helper that the configuration names for the registry, else in the
 * file, which only its owner may read. Whatever else the file holds stays.
 * @returns where it went, for people
 * @throws {RegistryError} BadCredentials; {StoreError} Storage
 */
export async function storeLogin(
  registry: string,
  login: Pick<PasswordCredential, "username" | "password">,
  { path, environment }: Options,
): Promise<string> {
  const config = await readConfig(path);
  const [key = registry] = spellings(registry);
  const helper = helperFor(registry, config["credsStore"], config["credHelpers"]);
  if (helper !== null) {
    await storeInHelper(helper, key, login, { environment });
    return `the credential helper ${helper}`;
  }
  const auth = Buffer.from(`${login.username}:${login.password}`).toString("base64");
  await writeConfig(path, { ...config, auths: { ...authsOf(config, path), [key]: { auth } } });
  return path;
}

/**
 * Forgets the login of a registry under every key that is read as its name, however spelled. What is for one of its
 * repositories stays, as does what is for other registries, too.
 * @returns whether the file had one; of a helper nobody knows
 * @throws {RegistryError} BadCredentials; {StoreError} Storage
 */
export async function removeLogin(registry: string, { path, environment }: Options): Promise<boolean> {
  const config = await readConfig(path);
  const auths = authsOf(config, path);
  const keys = Object.keys(auths).filter(key => isNameOf(registry, key));
  const helper = helperFor(registry, config["credsStore"], config["credHelpers"]);
  if (helper !== null) {
    // One after the other: a helper may ask the person who waits.
    for (const server of new Set([...spellings(registry), ...keys]))
      await eraseFromHelper(helper, server, { environment });
  }
  if (keys.length === 0) return helper !== null;
  const others = Object.entries(auths).filter(([key]) => !keys.includes(key));
  await writeConfig(path, { ...config, auths: Object.fromEntries(others) });
  return true;
}

function isNameOf(registry: string, key: string): boolean {
  const pattern = readPattern(key);
  return pattern !== null && isFor(pattern, registry);
}

async function readConfig(path: string): Promise<Members> {
  const text = await readDockerConfigFile(path);
  return text === null ? {} : { ...parseDockerConfig(text, path) };
}

function authsOf({ auths = {} }: Members, path: string): Members {
  if (typeof auths === "object" && auths !== null && !Array.isArray(auths)) return { ...auths };
  throw new RegistryError("BadCredentials", `can't read the docker configuration of ${path}: auths is not an object`);
}

/** Renamed in, through a link to where the file really is: those who keep it elsewhere want it there. */
async function writeConfig(path: string, config: Members): Promise<void> {
  const final = await realpath(path).catch(error => {
    if (error.code === "ENOENT") return path;
    throw new RegistryError("BadCredentials", `can't write the docker configuration ${path}: ${messageOf(error)}`);
  });
  await NewFile.write(final, Buffer.from(`${JSON.stringify(config, null, "\t")}\n`), "replace", 0o600);
}
