import type { Credential, CredentialSource } from "./credentials.ts";
import { RegistryError } from "./error.ts";

/** One entry of a docker configuration: a pattern of registries and repositories, and what to say there. */
export interface DockerAuth {
  /** Labels of the host, "*" within one standing for any text; its port, "" for none; a prefix of the repository. */
  readonly labels: readonly string[];
  readonly port: string;
  readonly path: string;
  readonly credential: Credential;
}

/** A Secret holds at most 1 MiB. */
const MAX_LENGTH = 1024 * 1024;
const MAX_ENTRIES = 1000;
/** Docker Hub under the name that docker's own login writes, and under the one of its API. */
const HUB_ALIASES = ["index.docker.io", "registry-1.docker.io"];

/**
 * Reads a docker configuration: `{"auths": {…}}` (Secret type kubernetes.io/dockerconfigjson) or the map alone
 * (kubernetes.io/dockercfg). Entries without user name and password are passed over: helpers can't be called, and other
 * kinds of tokens prove nothing to a registry by themselves.
 * @param name how messages call it; nothing that stands in it is ever part of one
 * @throws RegistryError BadCredentials
 */
export function readDockerConfig(text: string, name: string): readonly DockerAuth[] {
  if (text.length > MAX_LENGTH) throw bad(name, `it is longer than ${MAX_LENGTH} characters`);
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch {
    // The parser's own message would quote the text.
    throw bad(name, "it is not JSON");
  }
  if (!isObject(config)) throw bad(name, "it is not a JSON object");
  const auths = "auths" in config ? config["auths"] : config;
  if (!isObject(auths)) throw bad(name, "auths is not an object");
  const entries = Object.entries(auths);
  if (entries.length > MAX_ENTRIES) throw bad(name, `it has more than ${MAX_ENTRIES} entries`);
  return entries.flatMap(([server, entry]) => {
    const credential = readCredential(entry);
    const place = readServer(server);
    return credential === null || place === null ? [] : [{ ...place, credential }];
  });
}

/**
 * The credentials of a docker configuration that fit a repository, in the order in which the kubelet tries them (its
 * credentialprovider: the longer pattern first). Unlike there, a path ends at a "/": what is for reg/foo is not for
 * reg/foobar.
 */
export function dockerCredentials(configs: readonly (readonly DockerAuth[])[]): CredentialSource {
  const ordered = configs.map(auths => [...auths].sort((a, b) => specificity(b) - specificity(a)));
  return (registry, repository) =>
    ordered.flatMap(auths =>
      auths.filter(auth => fits(auth, registry, repository)).map(({ credential }) => credential),
    );
}

function specificity({ labels, path }: DockerAuth): number {
  const wild = labels.filter(label => label.includes("*")).length;
  return path.length * 1000 + labels.join(".").length - wild * 100;
}

function fits({ labels, port, path }: DockerAuth, registry: string, repository: string): boolean {
  const wanted = splitHost(registry);
  return (
    wanted.port === port &&
    wanted.labels.length === labels.length &&
    labels.every((label, index) => matches(label, wanted.labels[index] ?? "")) &&
    (path === "" || repository === path || repository.startsWith(`${path}/`))
  );
}

/** "*" stands for any text, within one label of a host. */
function matches(pattern: string, label: string): boolean {
  const [first = "", ...parts] = pattern.split("*");
  const last = parts.pop();
  if (last === undefined) return pattern === label;
  if (!label.startsWith(first) || !label.endsWith(last) || label.length < first.length + last.length) return false;
  let rest = label.slice(first.length, label.length - last.length);
  for (const part of parts) {
    const found = rest.indexOf(part);
    if (found < 0) return false;
    rest = rest.slice(found + part.length);
  }
  return true;
}

/** "https://registry.example:5000/v2/team" is for team below registry.example:5000. */
function readServer(server: string): Pick<DockerAuth, "labels" | "port" | "path"> | null {
  const bare = server.replace(/^https?:\/\//, "").replace(/\/+$/, "");
  const slash = bare.indexOf("/");
  const host = (slash < 0 ? bare : bare.slice(0, slash)).toLowerCase();
  if (!/^[a-z0-9*]([-a-z0-9.*]{0,252})(:\d{1,5})?$/.test(host)) return null;
  const path = slash < 0 ? "" : bare.slice(slash + 1).replace(/^v[12](\/|$)/, "");
  return { ...splitHost(HUB_ALIASES.includes(host) ? "docker.io" : host), path };
}

function splitHost(host: string): { labels: readonly string[]; port: string } {
  const [name = "", port = ""] = host.split(":", 2);
  return { labels: name.split("."), port };
}

function readCredential(entry: unknown): Credential | null {
  if (!isObject(entry)) return null;
  const { username, password, auth } = entry;
  if (typeof username === "string" && typeof password === "string" && username !== "") {
    return { kind: "password", username, password };
  }
  if (typeof auth !== "string") return null;
  const text = Buffer.from(auth, "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon < 1) return null;
  return { kind: "password", username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, "") };
}

function isObject(
  value: unknown,
): value is { readonly [member in "username" | "password" | "auth"]?: unknown } & Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function bad(name: string, why: string): RegistryError {
  return new RegistryError("BadCredentials", `can't read the docker configuration of ${name}: ${why}`);
}
