import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { pack } from "tar-stream";
import { verifying } from "./digest.ts";
import type { BlobSource } from "./push.ts";

/** A layer with files, and what an image config must know of it. */
export interface CompatLayer {
  /** The gzipped tar. */
  readonly blob: BlobSource;
  /** The digest of the tar itself (image-spec, config.md, "Layer DiffID"): container runtimes unpack by it. */
  readonly diffId: string;
}

interface File {
  readonly name: string;
  readonly size: number;
  open(): AsyncIterable<Buffer>;
}

const CHUNK_BYTES = 64 * 1024;
/** Everything that differs between machines and users, fixed. */
const FLAT = { mode: 0o644, mtime: new Date(0), uid: 0, gid: 0 } as const;
/** Where the gzip header (RFC 1952) names the operating system, and its value for "unknown". */
const SYSTEM = { offset: 9, unknown: 255 } as const;

/**
 * A layer with the module as plugin.wasm and, where it has one, its runtime-config.json. Nothing of the module stays in
 * memory: the archive is made once to be hashed and again each time it is sent. Its bytes are a matter of content alone,
 * those of the gzip also of the release of zlib in this Node.
 * @param module the module's bytes, or the path of its file
 */
export async function compatLayer(module: Buffer | string, runtimeConfig: Buffer | null): Promise<CompatLayer> {
  const files = [await moduleFile(module), ...(runtimeConfig ? [inMemory("runtime-config.json", runtimeConfig)] : [])];
  const tarHash = createHash("sha256");
  const gzipHash = createHash("sha256");
  let size = 0;
  for await (const chunk of gzipped(files, tarChunk => tarHash.update(tarChunk))) {
    gzipHash.update(chunk);
    size += chunk.length;
  }
  const digest = `sha256:${gzipHash.digest("hex")}`;
  return {
    // Verified: a file that was changed meanwhile must not be sent as what it was.
    blob: { digest, size, open: () => verifying(gzipped(files), { digest, size }) },
    diffId: `sha256:${tarHash.digest("hex")}`,
  };
}

async function* gzipped(files: readonly File[], see: (tarChunk: Buffer) => void = () => {}): AsyncGenerator<Buffer> {
  const gzip = createGzip({ level: 9 });
  const feeding = pipeline(seen(tarOf(files), see), gzip);
  // Told by the iteration below.
  feeding.catch(() => {});
  let position = 0;
  try {
    for await (const chunk of gzip as AsyncIterable<Buffer>) {
      const system = SYSTEM.offset - position;
      if (system >= 0 && system < chunk.length) chunk[system] = SYSTEM.unknown;
      position += chunk.length;
      yield chunk;
    }
  } finally {
    gzip.destroy();
    await feeding.catch(() => {});
  }
}

async function* seen(chunks: AsyncIterable<Buffer>, see: (chunk: Buffer) => void): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    see(chunk);
    yield chunk;
  }
}

async function* tarOf(files: readonly File[]): AsyncGenerator<Buffer> {
  const archive = pack();
  const filling = fill(archive, files).catch(error => archive.destroy(error));
  try {
    yield* archive as AsyncIterable<Buffer>;
  } finally {
    archive.destroy();
    await filling;
  }
}

async function fill(archive: ReturnType<typeof pack>, files: readonly File[]): Promise<void> {
  for (const { name, size, open } of files) {
    await pipeline(Readable.from(open()), archive.entry({ ...FLAT, name, size }));
  }
  archive.finalize();
}

async function moduleFile(module: Buffer | string): Promise<File> {
  if (typeof module !== "string") return inMemory("plugin.wasm", module);
  const { size } = await stat(module);
  return { name: "plugin.wasm", size, open: () => createReadStream(module, { highWaterMark: CHUNK_BYTES }) };
}

/** Cut as a file's stream is: what zlib makes of content may depend on the cuts. */
function inMemory(name: string, bytes: Buffer): File {
  async function* open() {
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
  }
  return { name, size: bytes.length, open };
}
