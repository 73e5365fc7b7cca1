import { type Command, InvalidArgumentError, Option } from "commander";
import { messageOf } from "../error.ts";
import { formatEnvoyVersion, newestEnvoyVersion, parseEnvoyVersion } from "../wasm/envoy-version.ts";

/** How one registry is spoken to. */
export interface RegistryFlags {
  /** undefined leaves it to the registry's address. */
  readonly plainHttp?: boolean;
  readonly insecure?: true;
  /** The path of a file with certificates (PEM). */
  readonly caFile?: string;
}

/** The flags that all verbs about images have. */
export interface ImageFlags {
  readonly registryConfig?: string;
  readonly store?: string;
  readonly json?: true;
  readonly quiet?: true;
  /** undefined where a verb has no such flag; the default holds then. */
  readonly maxBlobBytes?: number;
}

/** What Istio takes of a module at most, and room for the images of other tools that are only copied. */
export const MAX_BLOB_BYTES = 256 * 1024 * 1024;
/** Of a tar file all together. No blob can be larger. */
export const MAX_TOTAL_BYTES = 4 * 1024 * 1024 * 1024;

/** What every verb about images says of its exit codes. */
export const EXIT_CODES = `Exit codes: 0 done, 1 refused, by a registry or because of what an image holds, 2 wrong usage or a file that can't be
read or written, 130 interrupted. With --json a failure is a document, too: {error: {code, message, …}}.`;

/** Adds the flags of all verbs about images. */
export function withImageFlags(command: Command): Command {
  return command
    .option("--registry-config <file>", "docker's configuration with the credentials (default: docker's own)")
    .option("--store <folder>", "the local store (default: $WASMOUNT_STORE, else below the user's data folder)")
    .option("--json", "print one JSON document")
    .option("-q, --quiet", "no progress and no messages but errors");
}

/**
 * Adds the flags that say how a registry is spoken to, named as the ORAS CLI names them.
 * @param side "from-" and "to-" where a verb has two registries, else ""
 */
export function withRegistryFlags(command: Command, side: "" | "from-" | "to-" = ""): Command {
  const flag = (name: string) => {
    const whole = `${side.slice(0, -1)}${name}`;
    return `${whole.charAt(0).toLowerCase()}${whole.slice(1)}`;
  };
  const where = { "": "the registry", "from-": "the source's registry", "to-": "the target's registry" }[side];
  return command
    .option(`--${side}plain-http`, `speak HTTP without TLS to ${where} (default: only to localhost, 127.* and [::1])`)
    .option(`--no-${side}plain-http`, `speak TLS to ${where} even there`)
    .addOption(new Option(`--${side}insecure`, `take any certificate of ${where}`).conflicts(flag("CaFile")))
    .option(`--${side}ca-file <file>`, `certificates of the only authorities that vouch for ${where} (PEM)`);
}

/** Adds the flag of verbs that read images as large as their user likes. */
export function withBlobFlag(command: Command): Command {
  return command.option(
    "--max-blob-bytes <n>",
    "largest blob, and largest module after decompression, in bytes",
    blobBytes,
    MAX_BLOB_BYTES,
  );
}

function blobBytes(text: string): number {
  const bytes = /^[1-9]\d{0,9}$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY;
  if (bytes <= MAX_TOTAL_BYTES) return bytes;
  throw new InvalidArgumentError(`write a number from 1 to ${MAX_TOTAL_BYTES}.`);
}

/** Adds the flags of verbs that check a module. */
export function withCheckFlags(command: Command): Command {
  return command
    .option(
      "--envoy-version <version>",
      "the Envoy release that is to run the module",
      envoyVersion,
      newestEnvoyVersion,
    )
    .addOption(new Option("--no-check", "go on even where that Envoy can't load the module"));
}

/** Adds the flag of verbs that look into an index. */
export function withPlatformFlag(command: Command): Command {
  return command.option("--platform <os/architecture>", "which image, where an index leaves a choice", platform);
}

function platform(text: string): string {
  if (/^[a-z0-9]{1,32}\/[a-z0-9_]{1,32}$/.test(text)) return text;
  throw new InvalidArgumentError('Write an operating system and an architecture, such as "linux/amd64".');
}

export function envoyVersion(text: string): string {
  try {
    return formatEnvoyVersion(parseEnvoyVersion(text));
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error));
  }
}
