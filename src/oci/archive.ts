import { basename } from "node:path/posix";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { type Extract, extract } from "tar-stream";
import { messageOf } from "../error.ts";
import { RegistryError } from "./error.ts";
import type { ModuleSink } from "./module-sink.ts";

export interface ArchiveLimits {
  /** Largest module, in bytes. */
  readonly moduleBytes: number;
  /** Largest runtime-config.json, in bytes. */
  readonly configBytes: number;
}

type Entry = Extract extends AsyncIterable<infer Source> ? Source : never;

const MODULE_NAME = "plugin.wasm";
const CONFIG_NAME = "runtime-config.json";
/** Decompressed bytes per compressed byte. Modules stay below 10; deflate reaches 1000 on zeros. */
const MAX_RATIO = 20;
/** The ratio of less than this says nothing. */
const RATIO_FLOOR = 1024 * 1024;
/** Room for headers, padding and other files beside the module. */
const OVERHEAD = 1024 * 1024;
const MAX_ENTRIES = 1024;

/**
 * Reads a gzipped tar and passes on the file whose base name is plugin.wasm, wherever it lies (as Istio does), without
 * ever writing a path that the archive names. Sizes in headers are compared, not believed: what counts is what comes.
 * The source is read to its end, so that whoever hashes it sees all of it.
 * @returns runtime-config.json, or null where there is none
 * @throws {RegistryError} BadArchive, TooLarge, and whatever `source` or the sink throw
 */
export async function readArchive(
  source: AsyncIterable<Buffer>,
  limits: ArchiveLimits,
  module: ModuleSink,
): Promise<Buffer | null> {
  const tar = extract();
  const stop = new AbortController();
  const outside: { failure: unknown } = { failure: null };
  const flowing = pipeline(Readable.from(source), ...decompression(limits), tar, { signal: stop.signal });
  const reading = readEntries(tar, limits, chunk =>
    module.write(chunk).catch(error => {
      outside.failure = error;
      throw error;
    }),
  ).catch(error => {
    stop.abort();
    throw error;
  });
  const [flow, read] = await Promise.allSettled([flowing, reading]);
  if (flow.status === "fulfilled" && read.status === "fulfilled") return read.value;
  throw outside.failure ?? archiveError([read, flow]);
}

async function readEntries(
  tar: Extract,
  limits: ArchiveLimits,
  write: (chunk: Buffer) => Promise<void>,
): Promise<Buffer | null> {
  let found = false;
  let config: Buffer | null = null;
  let entries = 0;
  for await (const entry of tar) {
    entries += 1;
    if (entries > MAX_ENTRIES) throw bad(`more than ${MAX_ENTRIES} entries`);
    const name = basename(entry.header.name);
    if (name === MODULE_NAME) {
      if (found) throw bad(`two entries named ${MODULE_NAME}`);
      found = true;
      await copyFile(entry, limits.moduleBytes, write);
    } else if (name === CONFIG_NAME && config === null) {
      const chunks: Buffer[] = [];
      await copyFile(entry, limits.configBytes, async chunk => void chunks.push(chunk));
      config = Buffer.concat(chunks);
    } else {
      entry.resume();
    }
  }
  if (!found) throw bad(`no entry named ${MODULE_NAME}`);
  return config;
}

async function copyFile(entry: Entry, limit: number, write: (chunk: Buffer) => Promise<void>): Promise<void> {
  const { name, type, size = 0 } = entry.header;
  if (type !== "file" && type !== "contiguous-file") throw bad(`${basename(name)} as a ${type ?? "special file"}`);
  if (size > limit) throw new RegistryError("TooLarge", `${basename(name)} has ${size} bytes, ${limit} are allowed`);
  for await (const chunk of entry as AsyncIterable<Buffer>) await write(chunk);
}

function archiveError(outcomes: readonly PromiseSettledResult<unknown>[]): unknown {
  const reasons = outcomes.flatMap(outcome => (outcome.status === "rejected" ? [outcome.reason] : []));
  const ours = reasons.find(reason => reason instanceof RegistryError);
  if (ours) return ours;
  const [first] = reasons;
  return new RegistryError("BadArchive", `the layer is no intact gzipped tar (${messageOf(first)})`, { cause: first });
}

function bad(what: string): RegistryError {
  return new RegistryError("BadArchive", `the layer has ${what}`);
}

function decompression(
  limits: ArchiveLimits,
): [NodeJS.ReadWriteStream, NodeJS.ReadWriteStream, NodeJS.ReadWriteStream] {
  let compressed = 0;
  let plain = 0;
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      compressed += chunk.length;
      done(null, chunk);
    },
  });
  const guard = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      plain += chunk.length;
      if (plain > limits.moduleBytes + OVERHEAD) {
        done(new RegistryError("TooLarge", `the layer unpacks to more than the ${limits.moduleBytes} bytes allowed`));
      } else if (plain > RATIO_FLOOR && plain > compressed * MAX_RATIO) {
        done(new RegistryError("BadArchive", `the layer unpacks to more than ${MAX_RATIO} times its size`));
      } else done(null, chunk);
    },
  });
  return [counter, createGunzip(), guard];
}
