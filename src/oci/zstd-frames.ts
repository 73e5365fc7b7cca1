import { ChunkReader, EarlyEnd } from "./chunk-reader.ts";
import { RegistryError } from "./error.ts";

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
/** RFC 8878 section 3.1.1.1.2 recommends 8 MiB as what every decoder supports; more is the sender's wish, our memory. */
const MAX_WINDOW = 8 * 1024 * 1024;
/** Podman's zstd:chunked makes a frame for every chunk of a file, so thousands are honest. */
const MAX_FRAMES = 16_384;
// Bits of a frame's descriptor.
const DICTIONARY = 0x03;
const CHECKSUM = 0x04;
const RESERVED = 0x08;
const SINGLE_SEGMENT = 0x20;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;

/**
 * Cuts a Zstandard stream (RFC 8878) so that no chunk reaches across the end of a frame, and leaves out skippable
 * frames: Node's decoder throws away whatever follows a frame in the same chunk, without an error. On the way, every
 * frame's window is held to the limit before a decoder would allocate it.
 * @throws {RegistryError} BadArchive
 */
export async function* zstdFrames(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  const reader = new ChunkReader(source);
  try {
    for (let frames = 0; ; frames += 1) {
      const magic = await reader.take(4);
      if (magic === null) return;
      if (frames === MAX_FRAMES) throw bad(`more than ${MAX_FRAMES} frames`);
      const number = magic.readUInt32LE();
      if (number === MAGIC) yield* frame(reader, magic);
      else if ((number & 0xfffffff0) >>> 0 === SKIPPABLE) await reader.skip((await need(reader, 4)).readUInt32LE());
      else throw bad("bytes that begin no Zstandard frame");
    }
  } catch (error) {
    throw error instanceof EarlyEnd ? bad("a frame that breaks off", error) : error;
  } finally {
    await reader.close();
  }
}

async function* frame(reader: ChunkReader, magic: Buffer): AsyncGenerator<Buffer, void, undefined> {
  const descriptor = await need(reader, 1);
  const flags = descriptor[0] ?? 0;
  yield Buffer.concat([magic, descriptor, await checkedHeader(reader, flags)]);
  for (let last = false; !last; ) {
    const block = await need(reader, 3);
    const value = block.readUIntLE(0, 3);
    const kind = (value >> 1) & 0x03;
    if (kind === 3) throw bad("a block of the reserved kind");
    last = (value & 1) === 1;
    yield block;
    // A run-length block is one byte, however often that is repeated.
    yield* reader.pass(kind === 1 ? 1 : value >> 3);
  }
  if ((flags & CHECKSUM) !== 0) yield* reader.pass(4);
}

/** What follows a frame's descriptor: window or size. */
async function checkedHeader(reader: ChunkReader, flags: number): Promise<Buffer> {
  if ((flags & RESERVED) !== 0) throw bad("a frame with the reserved bit set");
  if ((flags & DICTIONARY) !== 0) throw bad("a frame that needs a dictionary");
  const single = (flags & SINGLE_SEGMENT) !== 0;
  const sizeBytes = CONTENT_SIZE_BYTES[flags >> 6] || Number(single);
  const header = await need(reader, Number(!single) + sizeBytes);
  const window = single ? contentSize(header) : windowSize(header[0] ?? 0);
  if (window > MAX_WINDOW) throw bad(`a window of ${window} bytes, ${MAX_WINDOW} are allowed`);
  return header;
}

async function need(reader: ChunkReader, size: number): Promise<Buffer> {
  const bytes = await reader.take(size);
  if (bytes === null) throw new EarlyEnd("it ends inside of a frame");
  return bytes;
}

/** RFC 8878 section 3.1.1.1.2. */
function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 0x07);
}

/** RFC 8878 section 3.1.1.1.4: a frame of one segment has a window of its content's size. */
function contentSize(field: Buffer): number {
  if (field.length === 8) return Number(field.readBigUInt64LE());
  return field.readUIntLE(0, field.length) + (field.length === 2 ? 256 : 0);
}

function bad(what: string, cause?: unknown): RegistryError {
  return new RegistryError("BadArchive", `the layer has ${what}`, { cause });
}
