import { ChunkReader, EarlyEnd } from "./chunk-reader.ts";
import { RegistryError } from "./error.ts";
import { type FileKind, readTarHeader, type TarHeader } from "./tar-header.ts";
import { readPax } from "./tar-pax.ts";

export interface TarEntry {
  /** The path as the archive has it: it may be absolute or lead upwards, and must never be opened. */
  readonly path: string;
  readonly kind: FileKind;
  /** In bytes; 0 for what has no content. */
  readonly size: number;
}

/** What is to happen with an entry's content: written chunk by chunk, or (null) passed over. */
export type TarVisitor = (entry: TarEntry) => ((chunk: Buffer) => Promise<void>) | null;

const BLOCK = 512;
/** Those included that only describe the entry after them. */
const MAX_HEADERS = 1024;
/** As Go's archive/tar: room for the extended attributes of one file. */
const MAX_EXTENSION = 1024 * 1024;
const MAX_PATH = 4096;

/** What the headers before an entry said of it. */
interface Extension {
  readonly path?: string;
  readonly size?: number;
}

/**
 * Reads a tar (POSIX ustar and pax, GNU long names) once from start to end. Where readers of tars are known to differ,
 * the archive is refused: entries behind the end, both ways to name one entry, sparse files, headers for all files at
 * once that rename them.
 * @throws {RegistryError} BadArchive, and whatever `visit` and what it returns throw
 */
export async function readTar(chunks: AsyncIterable<Buffer>, visit: TarVisitor): Promise<void> {
  const reader = new ChunkReader(chunks);
  try {
    await readEntries(reader, visit);
  } catch (error) {
    throw error instanceof EarlyEnd ? bad("an end in the middle of an entry", error) : error;
  } finally {
    await reader.close();
  }
}

async function readEntries(reader: ChunkReader, visit: TarVisitor): Promise<void> {
  let extension: Extension | null = null;
  for await (const header of headersOf(reader)) {
    if (header.kind === "pax" || header.kind === "gnu-path") {
      if (extension !== null) throw bad("two headers that describe one entry");
      extension = await readExtension(reader, header);
    } else if (header.kind === "pax-global" || header.kind === "gnu-link") {
      await readForgettable(reader, header);
    } else {
      await readContent(reader, entryOf({ ...header, kind: header.kind }, extension), visit);
      extension = null;
    }
  }
  if (extension !== null) throw bad("a header for an entry that never comes");
}

/** Header after header, to the end; whoever iterates reads what each one is followed by. */
async function* headersOf(reader: ChunkReader): AsyncGenerator<TarHeader, void, undefined> {
  for (let count = 0; ; count += 1) {
    const block = await reader.take(BLOCK);
    const header = block && readTarHeader(block);
    if (header === null) return refuseMore(reader);
    if (count === MAX_HEADERS) throw bad(`more than ${MAX_HEADERS} entries`);
    yield header;
  }
}

async function readContent(reader: ChunkReader, entry: TarEntry, visit: TarVisitor): Promise<void> {
  const write = visit(entry);
  if (write === null) await reader.skip(entry.size);
  else for await (const chunk of reader.pass(entry.size)) await write(chunk);
  await reader.skip(padding(entry.size));
}

function entryOf({ kind, path, size }: TarEntry, extension: Extension | null): TarEntry {
  const entry = { path: extension?.path ?? path, kind, size: extension?.size ?? size };
  if (kind !== "file" && entry.size !== 0) throw bad(`a ${kind} with content`);
  // What old tars call a folder.
  return kind === "file" && entry.path.endsWith("/") ? { ...entry, kind: "directory" } : entry;
}

async function readExtension(reader: ChunkReader, header: TarHeader): Promise<Extension> {
  const bytes = await extensionBytes(reader, header);
  if (header.kind === "gnu-path") return { path: checkedPath(cutAtNul(bytes).toString("utf8")) };
  const { path, size } = readPax(bytes);
  return {
    ...(path === undefined ? {} : { path: checkedPath(path) }),
    ...(size === undefined ? {} : { size }),
  };
}

/** Headers that say nothing about names or sizes: comments for all entries, targets of links. */
async function readForgettable(reader: ChunkReader, header: TarHeader): Promise<void> {
  const bytes = await extensionBytes(reader, header);
  if (header.kind === "gnu-link") return;
  const { path, size } = readPax(bytes);
  if (path !== undefined || size !== undefined) throw bad("a header that renames or resizes all entries");
}

async function extensionBytes(reader: ChunkReader, { size }: TarHeader): Promise<Buffer> {
  if (size > MAX_EXTENSION) throw bad(`a header of ${size} bytes, ${MAX_EXTENSION} are allowed`);
  const bytes = size === 0 ? Buffer.alloc(0) : await reader.take(size);
  if (bytes === null) throw new EarlyEnd("it ends before a header's content");
  await reader.skip(padding(size));
  return bytes;
}

function checkedPath(path: string): string {
  if (path.length > MAX_PATH) throw bad(`a path of more than ${MAX_PATH} characters`);
  if (path === "" || path.includes("\0")) throw bad("a path that is none");
  return path;
}

function cutAtNul(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return end === -1 ? bytes : bytes.subarray(0, end);
}

/** A tar ends with blocks of zeros. Some readers stop there, others go on: so there may be nothing to go on to. */
async function refuseMore(reader: ChunkReader): Promise<void> {
  for await (const chunk of reader.remaining()) {
    if (chunk.some(byte => byte !== 0)) throw bad("more behind its end");
  }
}

function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

function bad(what: string, cause?: unknown): RegistryError {
  return new RegistryError("BadArchive", `the layer's tar has ${what}`, { cause });
}
