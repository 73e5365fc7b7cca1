import {
  type Credential,
  type IdentityToken,
  type PasswordCredential,
  type RegistryToken,
  TOKEN_USERNAME,
} from "./credentials.ts";
import { RegistryError } from "./error.ts";
import { bySpecificity, fits, type RegistryPattern, readPattern } from "./registry-pattern.ts";

/** One entry of a docker configuration: where to say what. */
export interface DockerAuth {
  readonly pattern: RegistryPattern;
  /** Best first: an entry may hold a password and a token. */
  readonly credentials: readonly Credential[];
}

/** In characters: a Secret holds at most 1 MiB. */
export const MAX_DOCKER_CONFIG = 1024 * 1024;
const MAX_ENTRIES = 1000;
/** Longer ones no server would take as a header. */
const MAX_SECRET = 64 * 1024;

/**
 * Reads a docker configuration: `{"auths": {…}}` (docker's config.json, Secret type kubernetes.io/dockerconfigjson).
 * Entries that hold nothing usable, such as those of credential helpers, are passed over. What names a helper is not
 * read at all.
 * @param name how messages call it; nothing that stands in it is ever part of one
 * @throws {RegistryError} BadCredentials
 */
export function readDockerConfig(text: string, name: string): readonly DockerAuth[] {
  const { auths } = parseDockerConfig(text, name);
  // Where every credential is a helper's there are none.
  if (auths === undefined) return [];
  if (!isObject(auths)) throw bad(name, "auths is not an object");
  return readAuths(auths, name);
}

/**
 * Reads a docker configuration in its old form, the map of servers alone (Secret type kubernetes.io/dockercfg).
 * @throws {RegistryError} BadCredentials
 */
export function readDockercfg(text: string, name: string): readonly DockerAuth[] {
  return readAuths(parseDockerConfig(text, name), name);
}

/** A docker configuration as an object of whatever members. @throws {RegistryError} BadCredentials */
export function parseDockerConfig(text: string, name: string): DockerConfigMembers {
  if (text.length > MAX_DOCKER_CONFIG) throw bad(name, `it is longer than ${MAX_DOCKER_CONFIG} characters`);
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch {
    // The parser's own message would quote the text.
    throw bad(name, "it is not JSON");
  }
  if (!isObject(config)) throw bad(name, "it is not a JSON object");
  return config;
}

/**
 * The credentials of docker configurations that fit a repository, in the order in which the kubelet tries them: by the
 * longer pattern, whichever configuration has it, and then in the order of the configurations. The same credential is
 * given once.
 */
export function dockerCredentials(
  configs: readonly (readonly DockerAuth[])[],
): (registry: string, repository: string) => readonly Credential[] {
  const ordered = configs.flat().sort((a, b) => bySpecificity(a.pattern, b.pattern));
  return (registry, repository) => {
    const fitting = ordered.filter(({ pattern }) => fits(pattern, registry, repository));
    return distinct(fitting.flatMap(({ credentials }) => credentials));
  };
}

/** What a user name and a password of Docker's mean, or null where they are none. */
export function readLogin(username: unknown, password: unknown): PasswordCredential | IdentityToken | null {
  if (typeof username !== "string" || typeof password !== "string" || password.length > MAX_SECRET) return null;
  if (username === TOKEN_USERNAME) return identityToken(username, password);
  // Basic authentication has no way to write a colon.
  if (username === "" || username.includes(":") || username.length > MAX_SECRET) return null;
  return { kind: "password", username, password };
}

type DockerConfigMembers = Readonly<Record<string, unknown>> & {
  readonly [member in "auths" | "credsStore" | "credHelpers"]?: unknown;
};

function readAuths(auths: Readonly<Record<string, unknown>>, name: string): readonly DockerAuth[] {
  const entries = Object.entries(auths);
  if (entries.length > MAX_ENTRIES) throw bad(name, `it has more than ${MAX_ENTRIES} entries`);
  return entries.flatMap(([key, entry]) => {
    const credentials = readEntry(entry);
    const pattern = readPattern(key);
    return credentials.length === 0 || pattern === null ? [] : [{ pattern, credentials }];
  });
}

function readEntry(entry: unknown): readonly Credential[] {
  if (!isObject(entry)) return [];
  const { registrytoken, identitytoken } = entry;
  const [username, password] = loginOf(entry);
  const login = readLogin(username, password);
  const owner = typeof username === "string" && username !== "" ? username : TOKEN_USERNAME;
  const all = [registryToken(registrytoken), identityToken(owner, identitytoken), login];
  // `docker login` writes "user:" beside an identity token: an empty password is a login only where it is all there is.
  const beside = all.filter(one => one !== null && !(one.kind === "password" && one.password === ""));
  return beside.length > 0 || login === null ? beside.filter(one => one !== null) : [login];
}

/** As docker and the kubelet read it: "auth", base64 of "user:password", counts before the two alone. */
function loginOf({ auth, username, password }: EntryMembers): readonly [username: unknown, password: unknown] {
  if (typeof auth !== "string" || auth === "") return [username, password];
  const text = Buffer.from(auth, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? [null, null] : [text.slice(0, colon), text.slice(colon + 1).replace(/\0+$/, "")];
}

function registryToken(token: unknown): RegistryToken | null {
  // It becomes a header as it is.
  if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token) || token.length > MAX_SECRET) return null;
  return { kind: "registryToken", token };
}

function identityToken(username: string, token: unknown): IdentityToken | null {
  if (typeof token !== "string" || token === "" || token.length > MAX_SECRET) return null;
  return { kind: "identityToken", username, token };
}

function distinct(credentials: readonly Credential[]): readonly Credential[] {
  const texts = credentials.map(credential => JSON.stringify(credential));
  return credentials.filter((_, index) => texts.indexOf(texts[index] ?? "") === index);
}

type EntryMembers = Readonly<Record<string, unknown>> & {
  readonly [member in "username" | "password" | "auth" | "identitytoken" | "registrytoken"]?: unknown;
};

function isObject(value: unknown): value is DockerConfigMembers & EntryMembers {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function bad(name: string, why: string): RegistryError {
  return new RegistryError("BadCredentials", `can't read the docker configuration of ${name}: ${why}`);
}
