import { createHash, type Hash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Header, type Pack, pack } from "tar-stream";

/** Where a file's content comes from. */
export type ImageSource = { readonly path: string } | { readonly bytes: Uint8Array };

/** One thing in an image, at an absolute path. Folders on the way to it are made with mode 755. */
export type ImageEntry =
  | { readonly kind: "file"; readonly path: string; readonly mode: number; readonly source: ImageSource }
  | { readonly kind: "folder"; readonly path: string; readonly mode: number }
  | { readonly kind: "symlink"; readonly path: string; readonly target: string };

/** A written layer: an uncompressed tar, whose digest is therefore also its diff id. */
export interface Layer {
  readonly digest: string;
  readonly size: number;
}

/**
 * Writes the entries as a layer tar. The same entries in any order give the same bytes: sorted by path, owned by
 * root, dated 1970. Contents are streamed.
 */
export async function writeLayer(entries: readonly ImageEntry[], output: string): Promise<Layer> {
  const tar = pack();
  const hash = createHash("sha256");
  let size = 0;
  const counted = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      hash.update(chunk);
      size += chunk.length;
      done(null, chunk);
    },
  });
  const written = pipeline(tar, counted, createWriteStream(output));
  const filled = fill(tar, entries).catch(error => {
    tar.destroy(error);
    throw error;
  });
  await Promise.all([filled, written]);
  return { digest: `sha256:${hash.digest("hex")}`, size };
}

/** A hash of what a layer of these entries would hold, without writing it. */
export async function hashEntries(entries: readonly ImageEntry[]): Promise<string> {
  const hash = createHash("sha256");
  for (const entry of sorted(entries)) {
    const { path, kind } = entry;
    if (entry.kind !== "file") hash.update(JSON.stringify(entry));
    else hash.update(JSON.stringify({ path, kind, mode: entry.mode, content: await contentHash(entry.source) }));
  }
  return hash.digest("hex");
}

async function contentHash(source: ImageSource): Promise<string> {
  const hash: Hash = createHash("sha256");
  if ("bytes" in source) hash.update(source.bytes);
  else await pipeline(createReadStream(source.path), hash);
  return hash.digest("hex");
}

async function fill(tar: Pack, entries: readonly ImageEntry[]): Promise<void> {
  const made = new Set(entries.filter(({ kind }) => kind === "folder").map(({ path }) => path));
  for (const entry of sorted(entries)) {
    for (const folder of parents(entry.path)) {
      if (made.has(folder)) continue;
      made.add(folder);
      await addEntry(tar, { name: inTar(folder), type: "directory", mode: 0o755 }, null);
    }
    await addImageEntry(tar, entry);
  }
  tar.finalize();
}

function addImageEntry(tar: Pack, entry: ImageEntry): Promise<void> {
  const name = inTar(entry.path);
  if (entry.kind === "folder") return addEntry(tar, { name, type: "directory", mode: entry.mode }, null);
  if (entry.kind === "symlink") {
    return addEntry(tar, { name, type: "symlink", mode: 0o777, linkname: entry.target }, null);
  }
  return addEntry(tar, { name, type: "file", mode: entry.mode }, entry.source);
}

/** Adds one tar entry with the fixed owner and date of all of ours. */
export async function addEntry(
  tar: Pack,
  headers: Partial<Header> & { readonly name: string },
  source: ImageSource | null,
): Promise<void> {
  const fixed = { ...headers, uid: 0, gid: 0, mtime: new Date(0) };
  if (source && "path" in source) {
    const { size } = await stat(source.path);
    await pipeline(createReadStream(source.path), tar.entry({ ...fixed, size }));
    return;
  }
  const bytes = source ? Buffer.from(source.bytes) : Buffer.alloc(0);
  await new Promise<void>((resolve, reject) => {
    tar.entry(fixed, bytes, error => (error ? reject(error) : resolve()));
  });
}

function sorted(entries: readonly ImageEntry[]): readonly ImageEntry[] {
  return entries.toSorted((left, right) => (left.path < right.path ? -1 : 1));
}

function parents(path: string): readonly string[] {
  const segments = path.split("/").slice(1, -1);
  return segments.map((_, index) => `/${segments.slice(0, index + 1).join("/")}`);
}

function inTar(path: string): string {
  return path.replace(/^\/+/, "");
}
