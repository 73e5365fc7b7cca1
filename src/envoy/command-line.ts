import { posix } from "node:path";
import { type Flag, readFlags } from "./config-flags.ts";
import { inlineListeners } from "./inline-config.ts";

/** Where a proxy container gets its Envoy configuration from. */
export type CommandLine =
  | ConfigPath
  /** Neither command nor args: the image's own default. */
  | { readonly kind: "implicit" }
  /** A shell runs; what it starts can't be told. */
  | { readonly kind: "shell"; readonly why: string }
  /** Configuration with listeners in the arguments themselves. */
  | { readonly kind: "inline"; readonly why: string }
  | { readonly kind: "unknown"; readonly why: string };

export interface ConfigPath {
  readonly kind: "path";
  /** Absolute path inside the container, as written. */
  readonly path: string;
  readonly where: {
    readonly list: "command" | "args";
    /** Of the word that holds the path. */
    readonly index: number;
    /** `joined`: flag and path stand in one word, with a blank between. */
    readonly form: "separate" | "joined";
  };
  /** The list that `where` points into. */
  readonly words: readonly string[];
}

interface Word {
  readonly text: string;
  readonly list: "command" | "args";
  readonly index: number;
}

const SHELLS: readonly string[] = ["sh", "bash", "ash", "dash", "busybox"];
const INITS: readonly string[] = ["tini", "dumb-init"];
const ENTRYPOINT = "docker-entrypoint.sh";

/**
 * Reads a container's command and args. Kubernetes puts `command` in place of the image's entrypoint and `args` in
 * place of its default arguments, and drops those arguments when there is a command. The official image's entrypoint
 * puts `envoy` before arguments that start with a dash; its default is `envoy -c /etc/envoy/envoy.yaml`.
 */
export function readCommandLine(
  command: readonly string[] | undefined,
  args: readonly string[] | undefined,
): CommandLine {
  const program = (command ?? []).map((text, index): Word => ({ text, list: "command", index }));
  const given = (args ?? []).map((text, index): Word => ({ text, list: "args", index }));
  if (program.length === 0 && given.length === 0) return { kind: "implicit" };
  const words = withoutInit([...program, ...given]);
  const start = program.length === 0 ? afterEntrypoint(words) : afterProgram(words);
  return Array.isArray(start) ? readArguments(start, command, args) : start;
}

/**
 * The list of the command line that names the path, with another path in its place.
 * @param path absolute; without `$`, which Kubernetes would expand
 */
export function replaceConfigPath(
  line: ConfigPath,
  path: string,
): { readonly command: readonly string[] } | { readonly args: readonly string[] } {
  if (!path.startsWith("/") || path.includes("$")) {
    throw new TypeError(`${JSON.stringify(path)} is not an absolute path without $`);
  }
  const { list, index, form } = line.where;
  const old = line.words[index] ?? "";
  const word = form === "joined" ? old.slice(0, old.indexOf(" ") + 1) + path : path;
  const words = line.words.with(index, word);
  return list === "command" ? { command: words } : { args: words };
}

/** Leaves out an init such as `tini --`, which starts what follows. */
function withoutInit(words: readonly Word[]): readonly Word[] {
  if (!INITS.includes(posix.basename(words[0]?.text ?? ""))) return words;
  const next = words.findIndex((word, index) => index > 0 && !word.text.startsWith("-"));
  return next === -1 ? [] : words.slice(next);
}

/** What Envoy gets as arguments when the image's entrypoint is given these words. */
function afterEntrypoint(words: readonly Word[]): Word[] | CommandLine {
  return words[0]?.text.startsWith("-") ? [...words] : afterProgram(words);
}

function afterProgram(words: readonly Word[]): Word[] | CommandLine {
  const [first, ...rest] = words;
  const name = posix.basename(first?.text ?? "");
  if (name === "envoy") return rest;
  if (name === ENTRYPOINT) return afterEntrypoint(rest);
  if (SHELLS.includes(name)) {
    return { kind: "shell", why: `it starts ${name}, and what a shell makes of its configuration can't be told` };
  }
  return { kind: "unknown", why: first ? `it starts ${quote(first.text)}, not envoy` : "it starts nothing" };
}

function readArguments(
  words: readonly Word[],
  command: readonly string[] | undefined,
  args: readonly string[] | undefined,
): CommandLine {
  const { flags, stray } = readFlags(words.map(word => word.text));
  const inline = flags.filter(flag => flag.name === "--config-yaml").map(flag => inlineListeners(flag.value ?? ""));
  const listeners = inline.find(why => why !== null);
  if (listeners !== undefined) return { kind: "inline", why: listeners };
  const problem = strayProblem(stray) ?? flags.map(flagProblem).find(found => found !== null);
  if (problem) return { kind: "unknown", why: problem };
  const paths = flags.filter(flag => flag.name === "-c" || flag.name === "--config-path");
  const [flag] = paths;
  if (!flag) return { kind: "unknown", why: "envoy is started without -c or --config-path" };
  if (paths.length > 1) return { kind: "unknown", why: "-c or --config-path is given twice, which Envoy refuses" };
  const word = words[flag.index];
  const path = flag.value ?? "";
  if (!word || !path.startsWith("/") || path.includes("$(") || path.includes("$$")) {
    return { kind: "unknown", why: `the configuration's path ${quote(path)} is not an absolute path written out` };
  }
  const where = { list: word.list, index: word.index, form: flag.joined ? "joined" : "separate" } as const;
  return { kind: "path", path, where, words: (word.list === "command" ? command : args) ?? [] };
}

function strayProblem(stray: string | null): string | null {
  if (stray === null) return null;
  if (stray.startsWith("$(")) return `the argument ${quote(stray)} may expand to anything`;
  return `Envoy refuses the stray argument ${quote(stray)}`;
}

/** Envoy would end on these; the path was meant, so the message says how to write it. */
function flagProblem(flag: Flag): string | null {
  if (/^-(c.|-config-path=)/.test(flag.name)) {
    return `Envoy refuses ${quote(flag.name)}: write -c and the path as two arguments`;
  }
  return flag.name.includes("$(") ? `the argument ${quote(flag.name)} may expand to anything` : null;
}

function quote(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
