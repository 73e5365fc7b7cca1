import { digestOf, verifying } from "./digest.ts";

/**
 * Content that is kept beside a module so that a later run can verify it without a registry: index, manifest, config
 * and, where the module lies in an archive, the archive. Whoever implements this need not be trusted with integrity:
 * what comes out is hashed again.
 */
export interface ContentStore {
  /**
   * The content kept under a digest, or null. Also asked for the layer that *is* a module: answering with the module's
   * own file spares its download.
   */
  open(digest: string): Promise<AsyncIterable<Buffer> | null>;
  /** A place for the content of a digest, invisible until committed. */
  create(digest: string): Promise<ContentWriter>;
}

export interface ContentWriter {
  write(chunk: Buffer): Promise<void>;
  commit(): Promise<void>;
  discard(): Promise<void>;
}

/** The kept content of at most `limit` bytes, or null where there is none that has this digest. */
export async function readKept(store: ContentStore, digest: string, limit: number): Promise<Buffer | null> {
  const kept = await store.open(digest);
  if (kept === null) return null;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of kept) {
    size += chunk.length;
    if (size > limit) return null;
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks, size);
  return digestOf(bytes) === digest ? bytes : null;
}

/**
 * The kept content as a stream, or null where there is none of this digest and size. It is read twice: once here,
 * because damage found halfway would be found too late, and once, hashed again, by whoever iterates.
 */
export async function openKept(
  store: ContentStore,
  expected: { readonly digest: string; readonly size: number },
): Promise<AsyncIterable<Buffer> | null> {
  const kept = await store.open(expected.digest);
  if (kept === null) return null;
  try {
    for await (const _ of verifying(kept, expected));
  } catch {
    // Damaged evidence is no evidence.
    return null;
  }
  const again = await store.open(expected.digest);
  return again === null ? null : verifying(again, expected);
}

export async function keep(store: ContentStore, digest: string, bytes: Buffer): Promise<void> {
  for await (const _ of keeping(store, digest, [bytes]));
}

/** Passes verified chunks on and keeps a copy, committed only when their end was reached without an error. */
export async function* keeping(
  store: ContentStore,
  digest: string,
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
): AsyncGenerator<Buffer, void, undefined> {
  const writer = await store.create(digest);
  let complete = false;
  try {
    for await (const chunk of chunks) {
      await writer.write(chunk);
      yield chunk;
    }
    complete = true;
  } finally {
    await (complete ? writer.commit() : writer.discard());
  }
}
