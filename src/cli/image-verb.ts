import { readFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import type { LocalCredentialsOptions } from "../docker/local-credentials.ts";
import { CodedError, messageOf } from "../error.ts";
import { ImageError } from "../images/error.ts";
import type { TransferWatcher } from "../images/images.ts";
import type { Surroundings } from "../images/open-place.ts";
import type { Place } from "../images/place.ts";
import type { RegistryClient } from "../oci/client.ts";
import type { Credential } from "../oci/credentials.ts";
import { RegistryError } from "../oci/error.ts";
import type { RegistryClientOptions, RegistrySettings } from "../oci/options.ts";
import { printable } from "../printable.ts";
import { type ImageFlags, MAX_BLOB_BYTES, MAX_TOTAL_BYTES, type RegistryFlags } from "./image-flags.ts";
import { ProgressLine } from "./progress-line.ts";
import { version } from "./version.ts";

/** What a verb about images works with. */
export interface ImageVerb extends Surroundings {
  /** A client for the same registries with one credential alone. Whoever asks for it closes it. */
  clientFor(credential: Credential): RegistryClient;
  /** Where docker's tools keep credentials. */
  readonly docker: Pick<LocalCredentialsOptions, "path" | "environment">;
  readonly watcher: TransferWatcher;
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** Says something on the standard error, unless nobody wants to hear. */
  note(text: string): void;
}

/** What a verb prints: text ends with a newline, json is what `--json` prints instead. */
export interface Outcome {
  readonly text: string;
  readonly json: unknown;
}

/** The places that a verb is about, and how their registries are spoken to. */
export type NamedPlaces = readonly (readonly [place: Place, flags: RegistryFlags])[];

/** Of one manifest. Who is asked to list or copy them wants all of them. */
const MAX_REFERRERS = 256;
/** A slow line may take its time; a silent one is given up long before. */
const DEADLINE_MS = 30 * 60_000;

/** Codes of what its user got wrong, or what this machine's files are at fault for. The rest is exit code 1. */
const USAGE: readonly string[] = [
  "BadPlace",
  "WrongPlace",
  "BadFile",
  "BadCredentials",
  "BadProxy",
  "NotALayout",
  "Exists",
  "BadName",
  "Storage",
  "NotYaml",
  "BadPolicy",
  "BadKey",
  "BadToken",
];
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * Runs a verb about images: registries, progress, signals, output and exit code.
 * @param doing what its progress line says, such as "pulling"
 * @param places called inside, so that what is wrong with an argument is reported like any other failure
 */
export async function runImageVerb(
  verb: string,
  doing: string,
  flags: ImageFlags,
  places: () => NamedPlaces,
  action: (verb: ImageVerb) => Promise<Outcome>,
): Promise<void> {
  const stop = new AbortController();
  const stopped = interruption(stop);
  const progress = progressLine(doing, flags);
  try {
    const outcome = await prepared(flags, places(), stop.signal, progress, action);
    progress?.clear();
    process.stdout.write(flags.json ? `${JSON.stringify(outcome.json, null, 2)}\n` : outcome.text);
  } catch (error) {
    progress?.clear();
    if (stopped.by !== null) {
      process.stderr.write(`wasmount ${verb}: interrupted; nothing was left half-written\n`);
      process.exitCode = SIGNALS[stopped.by];
    } else process.exitCode = failed(verb, error, flags.json ?? false);
  } finally {
    stopped.forget();
  }
}

async function prepared(
  flags: ImageFlags,
  places: NamedPlaces,
  signal: AbortSignal,
  progress: ProgressLine | null,
  action: (verb: ImageVerb) => Promise<Outcome>,
): Promise<Outcome> {
  const { RegistryClient } = await import("../oci/client.ts");
  const { dockerConfigPath, localCredentials } = await import("../docker/local-credentials.ts");
  const { storeFolder } = await import("../store/location.ts");
  const { env } = process;
  const note = (text: string) => {
    if (flags.quiet) return;
    progress?.clear();
    process.stderr.write(`${printable(text)}\n`);
  };
  const { maxBlobBytes = MAX_BLOB_BYTES } = flags;
  const options = { ...(await clientOptions(places, maxBlobBytes)), signal };
  const docker = { path: flags.registryConfig ?? dockerConfigPath(env, homedir()), environment: env };
  const client = new RegistryClient({ ...options, credentials: await localCredentials({ ...docker, warn: note }) });
  try {
    return await action({
      client,
      clientFor: credential => new RegistryClient({ ...options, credentials: () => [credential] }),
      docker,
      store: storeFolder(flags.store, env),
      temporary: tmpdir(),
      limits: { blobBytes: maxBlobBytes, totalBytes: MAX_TOTAL_BYTES },
      watcher: progress ?? { started() {}, moved() {}, finished() {} },
      signal,
      note,
    });
  } finally {
    client.close();
  }
}

async function clientOptions(places: NamedPlaces, moduleBytes: number): Promise<RegistryClientOptions> {
  const { proxyFromEnvironment } = await import("../oci/proxy.ts");
  const registries = new Map<string, RegistrySettings>();
  for (const [place, flags] of places) {
    if (place.kind !== "registry") continue;
    const { registry } = place.reference;
    registries.set(registry, { ...registries.get(registry), ...(await settingsOf(registry, flags)) });
  }
  return {
    registries: [...registries.values()],
    limits: { moduleBytes, referrers: MAX_REFERRERS, referrerPages: MAX_REFERRERS },
    deadlineMs: DEADLINE_MS,
    proxy: proxyFromEnvironment(process.env),
    userAgent: `wasmount/${version}`,
  };
}

async function settingsOf(host: string, { plainHttp, insecure, caFile }: RegistryFlags): Promise<RegistrySettings> {
  // Who says something of TLS wants TLS.
  const tls = insecure === true || caFile !== undefined;
  if (tls && plainHttp)
    throw new ImageError("WrongPlace", "without TLS there are no certificates: leave --plain-http out");
  return {
    host,
    plainHttp: plainHttp ?? (!tls && isLoopback(host)),
    ...(insecure ? { insecureTls: true } : {}),
    ...(caFile === undefined ? {} : { ca: await authorities(caFile) }),
  };
}

/** Certificates as text; who reads them says what is wrong with them. */
async function authorities(file: string): Promise<string> {
  const { authorityProblem } = await import("../config/authorities.ts");
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw new ImageError("BadFile", `${file} can't be read: ${messageOf(error)}`);
  }
  const problem = authorityProblem(text);
  if (problem !== null) throw new ImageError("BadFile", `${file} ${problem}`);
  return text;
}

/** Whether what is said to a registry stays on this machine. docker, crane and oras speak HTTP there, too. */
export function isLoopback(registry: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/.test(registry);
}

function progressLine(doing: string, { json, quiet }: ImageFlags): ProgressLine | null {
  const { stderr, env } = process;
  if (!stderr.isTTY || json || quiet || env["TERM"] === "dumb") return null;
  return new ProgressLine(stderr, { doing, now: () => performance.now() });
}

interface Interruption {
  by: keyof typeof SIGNALS | null;
  forget(): void;
}

/** The first signal asks for an orderly end; the second one is the system's to answer. */
function interruption(stop: AbortController): Interruption {
  const handlers = (Object.keys(SIGNALS) as (keyof typeof SIGNALS)[]).map(signal => {
    const handler = () => {
      stopped.by ??= signal;
      stopped.forget();
      stop.abort();
    };
    process.on(signal, handler);
    return [signal, handler] as const;
  });
  const stopped: Interruption = {
    by: null,
    forget() {
      for (const [signal, handler] of handlers) process.off(signal, handler);
    },
  };
  return stopped;
}

/** Reports a failure. @returns the exit code */
function failed(verb: string, error: unknown, json: boolean): number {
  if (!(error instanceof CodedError)) throw error;
  const { code, message } = error;
  const { registry, operation, status, detail }: Partial<RegistryError> = error instanceof RegistryError ? error : {};
  if (json)
    process.stdout.write(
      `${JSON.stringify({ error: { code, message, registry, operation, status, detail } }, null, 2)}\n`,
    );
  const lines = message.split("\n").map(printable).join("\n");
  process.stderr.write(`wasmount ${verb}: ${lines}\n`);
  if (detail) process.stderr.write(`the registry's own words: ${printable(detail)}\n`);
  return error.name === "ImageReferenceError" || USAGE.includes(String(code)) ? 2 : 1;
}
