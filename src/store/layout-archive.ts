import { createReadStream } from "node:fs";
import { mkdtemp, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Extract, extract, type Pack, pack } from "tar-stream";
import { messageOf } from "../error.ts";
import { isDigest } from "../oci/digest.ts";
import { RegistryError } from "../oci/error.ts";
import { StoreError } from "./error.ts";
import { LayoutFolder } from "./layout-folder.ts";
import { isLayoutMark, MAX_INDEX, readIndex } from "./layout-index.ts";
import { type NewFile, storing, UNFINISHED } from "./new-file.ts";

export interface ArchiveLimits {
  /** Largest blob, in bytes. */
  readonly blobBytes: number;
  /** All blobs together, in bytes. */
  readonly totalBytes: number;
}

type Entry = Extract extends AsyncIterable<infer Source> ? Source : never;

const MAX_ENTRIES = 20_000;

/** A new folder of its own below another, for a layout on its way from or to an archive. */
export function temporaryLayout(below: string): Promise<string> {
  return storing(`write ${below}`, () => mkdtemp(join(below, UNFINISHED)));
}

/**
 * Unpacks a layout's tar file into a folder. No path of the archive is ever written: of its entries only those count
 * that a layout has, and blobs are hashed on their way. Anything else, such as what `docker save` has beside, is passed
 * over.
 * @throws {StoreError} NotALayout, NotFound, TooLarge, Storage
 */
export async function unpackLayout(file: string, path: string, limits: ArchiveLimits): Promise<LayoutFolder> {
  const folder = await LayoutFolder.create(path, { name: file });
  const unpacking = new Unpacking(file, folder, limits);
  const tar = extract();
  const stop = new AbortController();
  const flowing = pipeline(createReadStream(file), tar, { signal: stop.signal });
  const reading = unpacking.run(tar).catch(error => {
    stop.abort();
    throw error;
  });
  const [read, flow] = await Promise.allSettled([reading, flowing]);
  const failures = [read, flow].flatMap(outcome => (outcome.status === "rejected" ? [outcome.reason] : []));
  if (failures.length > 0) throw failureOf(failures, file);
  await unpacking.finish();
  return folder;
}

class Unpacking {
  readonly #file: string;
  readonly #folder: LayoutFolder;
  readonly #limits: ArchiveLimits;
  #entries = 0;
  #total = 0;
  #mark: Buffer | null = null;
  #index: Buffer | null = null;

  constructor(file: string, folder: LayoutFolder, limits: ArchiveLimits) {
    this.#file = file;
    this.#folder = folder;
    this.#limits = limits;
  }

  async run(tar: Extract): Promise<void> {
    for await (const entry of tar) {
      this.#entries += 1;
      if (this.#entries > MAX_ENTRIES)
        throw new StoreError("TooLarge", `${this.#file} has more than ${MAX_ENTRIES} entries`);
      const { name, type } = entry.header;
      const path = name.replace(/^(?:\.\/)+/, "");
      const digest = `sha256:${path.slice("blobs/sha256/".length)}`;
      if (type !== "file" && type !== "contiguous-file") entry.resume();
      else if (path === "oci-layout") this.#mark = await this.#whole(entry, 4096);
      else if (path === "index.json") this.#index = await this.#whole(entry, MAX_INDEX);
      else if (path.startsWith("blobs/sha256/") && isDigest(digest)) await this.#blob(entry, digest);
      else entry.resume();
    }
  }

  async finish(): Promise<void> {
    if (this.#mark === null || this.#index === null || !isLayoutMark(this.#mark)) {
      throw new StoreError(
        "NotALayout",
        `${this.#file} is no OCI image layout: it lacks oci-layout (version 1.x) or index.json`,
      );
    }
    await this.#folder.setIndex(readIndex(this.#index, `${this.#file}: index.json`));
  }

  async #blob(entry: Entry, digest: string): Promise<void> {
    const { size = 0 } = entry.header;
    this.#total += size;
    if (size > this.#limits.blobBytes || this.#total > this.#limits.totalBytes) {
      const { blobBytes, totalBytes } = this.#limits;
      throw new StoreError(
        "TooLarge",
        `${this.#file} has more than is allowed: ${blobBytes} bytes a blob, ${totalBytes} in all`,
      );
    }
    await this.#folder.putBlob({ digest, size, open: () => entry as AsyncIterable<Buffer> });
    // What is there already was not read.
    entry.resume();
  }

  async #whole(entry: Entry, limit: number): Promise<Buffer> {
    const { size = 0, name } = entry.header;
    if (size > limit)
      throw new StoreError("TooLarge", `${this.#file} has ${size} bytes of ${name}, ${limit} are allowed`);
    const chunks: Buffer[] = [];
    for await (const chunk of entry as AsyncIterable<Buffer>) chunks.push(chunk);
    return Buffer.concat(chunks);
  }
}

/** Writes a layout as a tar file. The same layout gives the same bytes. */
export async function packLayout(folder: LayoutFolder, file: NewFile, signal: AbortSignal): Promise<void> {
  const tar = pack();
  const packing = entries(tar, folder).then(
    () => tar.finalize(),
    error => tar.destroy(error),
  );
  await pipeline(
    tar,
    async chunks => {
      for await (const chunk of chunks as AsyncIterable<Buffer>) await file.write(chunk);
    },
    { signal },
  );
  await packing;
}

async function entries(tar: Pack, folder: LayoutFolder): Promise<void> {
  const blobs = "blobs/sha256";
  const names = (await readdir(join(folder.path, blobs))).sort().map(name => `${blobs}/${name}`);
  for (const name of ["oci-layout", "index.json", ...names]) {
    const path = join(folder.path, name);
    const { size } = await stat(path);
    const header = { name, size, mode: 0o644, mtime: new Date(0), uid: 0, gid: 0 };
    await pipeline(Readable.from(createReadStream(path)), tar.entry(header));
  }
}

function failureOf(failures: readonly unknown[], file: string): unknown {
  const ours = failures.find(failure => failure instanceof StoreError || failure instanceof RegistryError);
  if (ours) return ours;
  const [first] = failures;
  const { code } = first as NodeJS.ErrnoException;
  if (code === "ENOENT") return new StoreError("NotFound", `there is no file ${file}`);
  return new StoreError("NotALayout", `${file} is no intact tar file (${messageOf(first)})`, { cause: first });
}
