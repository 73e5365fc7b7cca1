import { createReadStream } from "node:fs";
import { readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder } from "../folder.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { digestOf, hexOf, isDigest, verifying } from "../oci/digest.ts";
import { type FetchedManifest, readManifest } from "../oci/manifest.ts";
import { type BlobSource, blobOf } from "../oci/push.ts";
import { StoreError } from "./error.ts";
import {
  EMPTY_INDEX,
  findEntry,
  indexBytes,
  isLayoutMark,
  LAYOUT_MARK,
  type LayoutIndex,
  listedIn,
  MAX_INDEX,
  nameOf,
  readIndex,
  tyingTagOf,
  withEntry,
} from "./layout-index.ts";
import { locked } from "./lock.ts";
import { NewFile, storageError, storing, UNFINISHED } from "./new-file.ts";

const CHUNK_BYTES = 256 * 1024;
const MAX_MANIFEST = 4 * 1024 * 1024;
/** Of so many images in an index it is looked up what they are attached to. */
export const MAX_SEARCHED = 2_000;
/** Nobody writes one file for longer. */
const ABANDONED_MS = 24 * 60 * 60 * 1000;

/**
 * A folder in the form of an OCI image layout (image-spec, image-layout.md): blobs under their digests, and an
 * index.json that names images. Not trusted with integrity: what is read is hashed again. Several processes may write
 * at once; none shows a blob or an index that is not whole.
 */
export class LayoutFolder {
  readonly path: string;
  readonly name: string;
  readonly #behind: LayoutFolder | null;

  private constructor(path: string, { name = path, behind }: LayoutOptions = {}) {
    this.path = path;
    this.name = name;
    this.#behind = behind ?? null;
  }

  /** @throws {StoreError} NotALayout, Storage */
  static async open(path: string): Promise<LayoutFolder> {
    const mark = await readWhole(join(path, "oci-layout"), 4096);
    if (mark === null) throw new StoreError("NotALayout", `${path} is no OCI image layout: it has no file oci-layout`);
    if (!isLayoutMark(mark))
      throw new StoreError("NotALayout", `${path} is no OCI image layout: its oci-layout names no version 1.x`);
    return new LayoutFolder(path);
  }

  /**
   * Opens a layout for writing; a folder that is empty or not there becomes one.
   * @throws {StoreError} NotALayout, Storage
   */
  static async create(path: string, options: LayoutOptions = {}): Promise<LayoutFolder> {
    const names = await storing(`open ${path}`, async () => {
      makeFolder(path);
      return readdir(path);
    });
    if (!names.includes("oci-layout")) {
      // Processes that start the same layout at once find each other's beginnings.
      const foreign = names.find(name => !["blobs", "index.json", "index.json.lock"].includes(name) && !isOurs(name));
      if (foreign !== undefined)
        throw new StoreError("NotALayout", `${path} holds other things than an OCI image layout (${foreign})`);
      await storing(`create ${path}`, async () => makeFolder(join(path, "blobs/sha256")));
      const layout = new LayoutFolder(path, options);
      await layout.#update(undefined, index => index);
      await NewFile.write(join(path, "oci-layout"), LAYOUT_MARK, "replace");
      return layout;
    }
    await LayoutFolder.open(path);
    const layout = new LayoutFolder(path, options);
    await layout.#clear();
    return layout;
  }

  /** The images that index.json lists. @throws {StoreError} NotALayout, Storage */
  async index(): Promise<readonly Descriptor[]> {
    const where = join(this.name, "index.json");
    const bytes = await readWhole(join(this.path, "index.json"), MAX_INDEX, where);
    if (bytes === null) throw new StoreError("NotALayout", `${this.name} is no OCI image layout: it has no index.json`);
    return listedIn(readIndex(bytes, where));
  }

  /** The entry of a name or digest; for null, the only image. @throws {StoreError} NotFound, Ambiguous */
  async find(name: string | null): Promise<Descriptor> {
    const entries = await this.index();
    return findEntry(name === null ? await this.#standing(entries) : entries, name, this.name);
  }

  /** @throws {StoreError} NotFound; {RegistryError} where the bytes are not what the digest says, or no manifest */
  async manifest(digest: string): Promise<FetchedManifest> {
    const bytes = await this.#read(digest, MAX_MANIFEST);
    if (bytes === null) throw this.#missing(digest);
    return readManifest(bytes, null, digest);
  }

  /**
   * Streams a blob, as the registry's client does: what was yielded counts only once the end was reached.
   * @throws {StoreError} NotFound; {RegistryError} SizeMismatch, DigestMismatch
   */
  async *blob(descriptor: Descriptor): AsyncGenerator<Buffer, void, undefined> {
    const path = await this.#pathOf(descriptor.digest);
    if (path === null) throw this.#missing(descriptor.digest);
    yield* verifying(chunksOf(path), descriptor);
  }

  /** Whether a blob is there, whole. */
  async has({ digest, size }: { readonly digest: string; readonly size: number }): Promise<boolean> {
    const path = await this.#pathOf(digest);
    if (path === null) return false;
    try {
      for await (const _ of verifying(chunksOf(path), { digest, size }));
      return true;
    } catch {
      // A damaged blob is written again.
      return false;
    }
  }

  /** Writes a blob unless it is there. @throws {RegistryError} SizeMismatch, DigestMismatch; whatever its stream throws */
  async putBlob(blob: BlobSource): Promise<void> {
    if (await this.has(blob)) return;
    const file = await NewFile.create(this.#blobPath(blob.digest), "replace");
    try {
      for await (const chunk of verifying(buffers(blob.open()), blob)) await file.write(chunk);
      await file.finish();
    } finally {
      await file.discard();
    }
  }

  async putManifest(bytes: Buffer): Promise<void> {
    await this.putBlob(blobOf(bytes));
  }

  /** Lists an image under a name, which it takes from whatever had it; null lists it without one. */
  async setEntry(entry: Descriptor, name: string | null, signal?: AbortSignal): Promise<void> {
    await this.#update(signal, index => withEntry(index, entry, name));
  }

  /** Replaces the whole index. */
  async setIndex(index: LayoutIndex): Promise<void> {
    await this.#update(undefined, () => index);
  }

  /** A folder beside this one's blobs, for content that may yet be refused; `adopt` or removing it ends it. */
  async stage(name: string): Promise<LayoutFolder> {
    return LayoutFolder.create(join(this.path, `${UNFINISHED}${name}`), { name: this.name, behind: this });
  }

  /** Takes the blobs of a staged folder over. */
  async adopt(staged: LayoutFolder): Promise<void> {
    const from = join(staged.path, "blobs/sha256");
    await storing(`write ${this.path}`, async () => {
      for (const name of await readdir(from)) {
        if (!isOurs(name)) await rename(join(from, name), this.#blobPath(`sha256:${name}`));
      }
    });
  }

  /** Removes a layout's folder, or what there is of one. */
  static async remove(path: string): Promise<void> {
    await rm(path, { recursive: true, force: true });
  }

  /**
   * The entries that stand for themselves. Attachments have entries because other tools, such as oras, find them by
   * those alone; oras lists an index's children, too. What can't be read counts, and what is beyond the bound: rather a
   * choice is left than a wrong one made.
   */
  async #standing(entries: readonly Descriptor[]): Promise<readonly Descriptor[]> {
    if (entries.length < 2) return entries;
    const attached = new Set<string>();
    const children = new Set<string>();
    for (const digest of [...new Set(entries.map(entry => entry.digest))].slice(0, MAX_SEARCHED)) {
      const manifest = await this.manifest(digest).then(
        fetched => fetched.manifest,
        () => null,
      );
      if (manifest?.subject) attached.add(digest);
      else if (manifest?.kind === "index") for (const child of manifest.manifests) children.add(child.digest);
    }
    const standing = entries.filter(entry => {
      const isChild = nameOf(entry) === null && children.has(entry.digest);
      return !isChild && !attached.has(entry.digest) && tyingTagOf(entry) === null;
    });
    return standing.length > 0 ? standing : entries;
  }

  async #update(signal: AbortSignal | undefined, change: (index: LayoutIndex) => LayoutIndex): Promise<void> {
    const [file, where] = [join(this.path, "index.json"), join(this.name, "index.json")];
    await locked(`${file}.lock`, signal, async () => {
      const bytes = await readWhole(file, MAX_INDEX, where);
      const old = bytes === null ? null : readIndex(bytes, where);
      const index = change(old ?? EMPTY_INDEX);
      if (index !== old) await NewFile.write(file, indexBytes(index, where), "replace");
    });
  }

  /** Removes what killed processes left. */
  async #clear(): Promise<void> {
    for (const folder of [this.path, join(this.path, "blobs/sha256")]) {
      for (const name of await readdir(folder).catch(() => [])) {
        if (!isOurs(name)) continue;
        const path = join(folder, name);
        const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
        if (Date.now() - mtimeMs > ABANDONED_MS) await rm(path, { recursive: true, force: true });
      }
    }
  }

  async #read(digest: string, limit: number): Promise<Buffer | null> {
    const path = await this.#pathOf(digest);
    return path === null ? null : readWhole(path, limit, `the manifest ${digest} in ${this.name}`);
  }

  async #pathOf(digest: string): Promise<string | null> {
    const path = this.#blobPath(digest);
    if (await isFile(path)) return path;
    return this.#behind === null ? null : this.#behind.#pathOf(digest);
  }

  #blobPath(digest: string): string {
    if (!isDigest(digest)) throw new StoreError("BadName", "a blob's name is a sha256 digest");
    return join(this.path, "blobs/sha256", hexOf(digest));
  }

  #missing(digest: string): StoreError {
    return new StoreError("NotFound", `${this.name} lacks the blob ${digest}, which an image in it refers to`);
  }
}

export interface LayoutOptions {
  /** How messages call it; its path, unless that means nothing to the user. */
  readonly name?: string;
  /** Where blobs are found that this folder lacks: for a folder whose content goes there in the end. */
  readonly behind?: LayoutFolder;
}

/** The descriptor of a manifest at hand. */
export function descriptorOf({ bytes, mediaType }: Pick<FetchedManifest, "bytes" | "mediaType">): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

function isOurs(name: string): boolean {
  return name.startsWith(UNFINISHED);
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    stats => stats.isFile(),
    () => false,
  );
}

async function* buffers(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of chunks) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

async function* chunksOf(path: string): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* createReadStream(path, { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Buffer>;
  } catch (error) {
    throw storageError(`read ${path}`, error);
  }
}

/** A file's bytes, or null where there is no such file. @throws {StoreError} TooLarge, Storage */
async function readWhole(path: string, limit: number, called = path): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of createReadStream(path)) {
      size += chunk.length;
      if (size > limit) throw new StoreError("TooLarge", `${called} has more than the ${limit} bytes allowed`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof StoreError) throw error;
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return null;
    throw storageError(`read ${path}`, error);
  }
  return Buffer.concat(chunks, size);
}
