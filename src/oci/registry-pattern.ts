/** Registries, and repositories in them, that a key of a docker configuration is for. */
export interface RegistryPattern {
  /** Labels of the host: "*" stands for any text within one, "?" for one character. An IPv6 address is one label. */
  readonly labels: readonly string[];
  /** "" for none. */
  readonly port: string;
  /** A prefix of the repository that ends where a segment ends; "" for every repository. */
  readonly path: string;
}

const KEY = /^(?:\[[0-9a-f:.]{2,45}\]|[a-z0-9*?][-a-z0-9.*?]{0,252})(?::\d{1,5})?$/;
/** Docker Hub under the name that docker's own login writes, and under the one of its API. */
const HUB_ALIASES: readonly string[] = ["index.docker.io", "registry-1.docker.io"];

/**
 * Reads a key as the kubelet does (its credentialprovider/keyring.go): "https://registry.example:5000/v2/team" is for
 * team below registry.example:5000. Null for what no registry can be called.
 */
export function readPattern(key: string): RegistryPattern | null {
  const bare = key.replace(/^https?:\/\//, "").replace(/\/+$/, "");
  const slash = bare.indexOf("/");
  const host = (slash < 0 ? bare : bare.slice(0, slash)).toLowerCase();
  if (!KEY.test(host)) return null;
  const path = slash < 0 ? "" : bare.slice(slash + 1).replace(/^v[12](\/|$)/, "");
  return { ...splitHost(HUB_ALIASES.includes(host) ? "docker.io" : host), path };
}

/**
 * Whether a pattern is for a repository. Unlike in the kubelet, a path ends where a segment ends: what is for reg/foo is
 * not for reg/foobar.
 */
export function fits({ labels, port, path }: RegistryPattern, registry: string, repository: string): boolean {
  const wanted = splitHost(registry);
  return (
    wanted.port === port &&
    wanted.labels.length === labels.length &&
    labels.every((label, index) => matches(label, wanted.labels[index] ?? "")) &&
    (path === "" || repository === path || repository.startsWith(`${path}/`))
  );
}

/** Whether a pattern is for the whole of one registry and for nothing else. */
export function isFor({ labels, port, path }: RegistryPattern, registry: string): boolean {
  const wanted = splitHost(registry);
  return path === "" && wanted.port === port && wanted.labels.join(".") === labels.join(".");
}

/** For sorting: the longest path first, then the host that says the most. */
export function bySpecificity(a: RegistryPattern, b: RegistryPattern): number {
  return b.path.length - a.path.length || wildcards(a) - wildcards(b) || literals(b) - literals(a);
}

function wildcards({ labels }: RegistryPattern): number {
  return labels.filter(label => /[*?]/.test(label)).length;
}

function literals({ labels }: RegistryPattern): number {
  return labels.join(".").replace(/[*?]/g, "").length;
}

/** References leave the port of https out, so it is left out here, too. */
function splitHost(host: string): Pick<RegistryPattern, "labels" | "port"> {
  const [, name = host, port = ""] = /^(.*?)(?::(\d+))?$/.exec(host) ?? [];
  return { labels: host.startsWith("[") ? [name] : name.split("."), port: port === "443" ? "" : port };
}

/** In time linear in the product of both lengths: the last "*" is the only one that is tried again. */
function matches(pattern: string, label: string): boolean {
  let at = 0;
  let star = -1;
  let resumed = 0;
  for (let read = 0; read < label.length; ) {
    if (at < pattern.length && pattern[at] === "*") {
      star = at++;
      resumed = read;
    } else if (at < pattern.length && (pattern[at] === "?" || pattern[at] === label[read])) {
      at++;
      read++;
    } else if (star >= 0) {
      at = star + 1;
      read = ++resumed;
    } else return false;
  }
  while (pattern[at] === "*") at++;
  return at === pattern.length;
}
