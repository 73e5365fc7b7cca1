import { basename } from "node:path/posix";
import { type Compression, decompressed } from "./decompression.ts";
import { RegistryError } from "./error.ts";
import type { ModuleSink } from "./module-sink.ts";
import { readTar, type TarEntry } from "./tar.ts";

export interface ArchiveLimits {
  /** Largest module, in bytes. */
  readonly moduleBytes: number;
  /** Largest runtime-config.json, in bytes. */
  readonly configBytes: number;
  /** Bytes that come out of one. */
  readonly unpackRatio: number;
}

const MODULE_NAME = "plugin.wasm";
const CONFIG_NAME = "runtime-config.json";
/** Room for headers, padding and other files beside the module. */
const OVERHEAD = 1024 * 1024;

/**
 * Reads a compressed tar and passes on the file whose base name is plugin.wasm, wherever it lies (as Istio does), without
 * ever writing a path that the archive names. Sizes in headers are compared, not believed: what counts is what comes.
 * The source is read to its end, so that whoever hashes it sees all of it.
 * @returns runtime-config.json, or null where there is none
 * @throws {RegistryError} BadArchive, TooLarge, and whatever `source` or the sink throw
 */
export async function readArchive(
  source: AsyncIterable<Buffer>,
  compression: Compression,
  limits: ArchiveLimits,
  module: ModuleSink,
): Promise<Buffer | null> {
  const found = { module: false, config: null as Buffer[] | null };
  await readTar(decompressed(source, compression, limits.moduleBytes + OVERHEAD, limits.unpackRatio), entry => {
    const name = basename(entry.path);
    if (name === MODULE_NAME) {
      if (found.module) throw bad(`two entries named ${MODULE_NAME}`);
      found.module = true;
      refuseUnfit(entry, name, limits.moduleBytes);
      return chunk => module.write(chunk);
    }
    if (name !== CONFIG_NAME) return null;
    if (found.config !== null) throw bad(`two entries named ${CONFIG_NAME}`);
    refuseUnfit(entry, name, limits.configBytes);
    const chunks: Buffer[] = [];
    found.config = chunks;
    return async chunk => void chunks.push(chunk);
  });
  if (!found.module) throw bad(`no entry named ${MODULE_NAME}`);
  return found.config && Buffer.concat(found.config);
}

function refuseUnfit({ kind, size }: TarEntry, name: string, limit: number): void {
  if (kind !== "file") throw bad(`${name} as a ${kind}`);
  if (size > limit) throw new RegistryError("TooLarge", `${name} has ${size} bytes, ${limit} are allowed`);
}

function bad(what: string): RegistryError {
  return new RegistryError("BadArchive", `the layer has ${what}`);
}
