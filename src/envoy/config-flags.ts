/**
 * Envoy's command line as its parser (TCLAP, with a blank as the only delimiter) splits it. Tried with Envoy 1.40:
 * `-c X`, `--config-path X` and the single words `"-c X"`, `"--config-path X"` are taken; `-cX`, `-c=X`,
 * `--config-path=X`, a flag given twice and stray words are refused. After `--` nothing is read. Empty words and a
 * lone `-` are skipped.
 */
export interface Flag {
  readonly name: string;
  readonly value: string | null;
  /** The word that holds the value, or the flag itself where there is none. */
  readonly index: number;
  /** Flag and value stand in one word, with a blank between. */
  readonly joined: boolean;
}

/** Words that are neither flags nor values: Envoy ends on the first. */
export interface ReadFlags {
  readonly flags: readonly Flag[];
  readonly stray: string | null;
}

/** The flags that take no value. */
const SWITCHES: ReadonlySet<string> = new Set([
  "--allow-unknown-fields",
  "--allow-unknown-static-fields",
  "--cpuset-threads",
  "--disable-hot-restart",
  "--enable-core-dump",
  "--enable-fine-grain-logging",
  "--enable-mutex-tracing",
  "--help",
  "--hot-restart-version",
  "--ignore-unknown-dynamic-fields",
  "--log-format-escaped",
  "--log-stacktrace-single-entry",
  "--reject-unknown-dynamic-fields",
  "--skip-deprecated-logs",
  "--skip-hot-restart-on-no-parent",
  "--skip-hot-restart-parent-stats",
  "--use-dynamic-base-id",
  "--version",
  "-h",
]);

/** The flags whose next word is their value, whatever it looks like. */
const VALUED: ReadonlySet<string> = new Set([
  "--admin-address-path",
  "--base-id",
  "--base-id-path",
  "--component-log-level",
  "--concurrency",
  "--config-path",
  "--config-yaml",
  "--disable-extensions",
  "--drain-strategy",
  "--drain-time-s",
  "--file-flush-interval-msec",
  "--file-flush-min-size-kb",
  "--local-address-ip-version",
  "--log-format",
  "--log-level",
  "--log-path",
  "--mode",
  "--parent-shutdown-time-s",
  "--restart-epoch",
  "--service-cluster",
  "--service-node",
  "--service-zone",
  "--socket-mode",
  "--socket-path",
  "--stats-tag",
  "-c",
  "-l",
]);

export function readFlags(words: readonly string[]): ReadFlags {
  const flags: Flag[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    if (word === "" || word === "-") continue;
    if (word === "--" || word === "--ignore_rest") break;
    if (!word.startsWith("-")) return { flags, stray: word };
    const flag = readFlag(word, words[index + 1], index);
    flags.push(flag);
    index = flag.index;
  }
  return { flags, stray: null };
}

function readFlag(word: string, next: string | undefined, index: number): Flag {
  const blank = word.indexOf(" ");
  const name = blank === -1 ? word : word.slice(0, blank);
  const rest = blank === -1 ? "" : word.slice(blank + 1);
  if (rest !== "") return { name, value: rest, index, joined: true };
  if (takesNext(name, next)) return { name, value: next ?? null, index: index + 1, joined: false };
  return { name, value: null, index, joined: false };
}

/** A flag of another release: what follows is its value unless it looks like a flag. */
function takesNext(name: string, next: string | undefined): boolean {
  if (next === undefined || SWITCHES.has(name)) return false;
  return VALUED.has(name) || !(next.startsWith("-") || name.includes("="));
}
