import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, type FileHandle, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { messageOf } from "../error.ts";
import { FetchError } from "./error.ts";

/** Unfinished files start so; one that is left belongs to a fetcher that was killed. */
const UNFINISHED = ".unfinished-";
const CHUNK_BYTES = 256 * 1024;
/** What is gathered before it is written. */
const GATHERED_BYTES = 512 * 1024;
const FOLDERS = ["modules", "filters", "bootstrap", "blobs"] as const;
/** Made when it is written to: most plans have no rules. */
const LATE_FOLDERS = ["evidence"] as const;
export type Folder = (typeof FOLDERS)[number] | (typeof LATE_FOLDERS)[number];

/**
 * The shared volume. Nothing appears on it under its final name before it is whole, on disk and read-only; what was
 * written is remembered by its hash, for a last look before the proxy may start.
 */
export class Volume {
  readonly root: string;
  readonly #written = new Map<string, string>();

  constructor(root: string) {
    this.root = root;
  }

  /** Makes the folders, opens those of an earlier run for writing, and clears what it left unfinished. */
  async open(): Promise<void> {
    for (const folder of this.#folders()) {
      const path = this.path(folder);
      await guard(`open ${path}`, async () => {
        await makeFolder(path, this.root);
        await eachFolder(path, 0o755, async (inside, name) => {
          if (name.startsWith(UNFINISHED)) await rm(join(inside, name), { recursive: true, force: true });
        });
      });
    }
  }

  #folders(): readonly Folder[] {
    return [...FOLDERS, ...LATE_FOLDERS.filter(folder => existsSync(this.path(folder)))];
  }

  path(folder: Folder, ...names: string[]): string {
    return join(this.root, folder, ...names);
  }

  /** Opens an unfinished file beside its final place. Exactly one of `finish` and `discard` ends it. */
  async create(final: string): Promise<UnfinishedFile> {
    const temporary = join(dirname(final), `${UNFINISHED}${randomBytes(8).toString("hex")}`);
    const handle = await guard(`create ${final}`, async () => {
      await makeFolder(dirname(final), this.root);
      return open(temporary, "wx+", 0o600);
    });
    return new UnfinishedFile(temporary, handle, (name, hash) => {
      this.#written.set(name, hash);
    });
  }

  /** Writes a whole file under its final name. */
  async write(final: string, content: string | Uint8Array): Promise<void> {
    const bytes = Buffer.from(content);
    const file = await this.create(final);
    try {
      await file.write(bytes);
      await file.finish(final, createHash("sha256").update(bytes).digest("hex"));
    } catch (error) {
      await file.discard();
      throw error;
    }
  }

  /** Counts a file of an earlier run as ours, to be looked at again with the rest. */
  adopt(final: string, sha256: string): void {
    this.#written.set(final, sha256);
  }

  /**
   * Reads back all that was written or adopted, makes the names durable and closes the folders.
   * @throws FetchError Altered, naming the file.
   */
  async seal(): Promise<number> {
    for (const [path, expected] of this.#written) {
      const found = await fileSha256(path);
      if (found === expected) continue;
      throw new FetchError(
        "Altered",
        `${path} has sha256 ${found ?? "of nothing: it is gone"}, written was ${expected}`,
      );
    }
    const folders = new Set([...this.#written.keys()].map(path => dirname(path)));
    // Together: the file system writes them out as one.
    await Promise.all([...folders].map(folder => guard(`sync ${folder}`, () => syncFolder(folder))));
    for (const folder of this.#folders()) await guard(`close ${folder}`, () => eachFolder(this.path(folder), 0o555));
    return this.#written.size;
  }
}

/**
 * A file that is being written, under a name that nobody reads. Small chunks are gathered and written together, while the
 * next ones come: a write of its own for each would cost more than the bytes do.
 */
export class UnfinishedFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #finished: (name: string, sha256: string) => void;
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  readonly #taken = new Set<Uint8Array<ArrayBuffer>>();
  #writing: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | null = null;

  constructor(path: string, handle: FileHandle, finished: (name: string, sha256: string) => void) {
    this.#path = path;
    this.#handle = handle;
    this.#finished = finished;
  }

  get descriptor(): number {
    return this.#handle.fd;
  }

  /** The chunk is kept until it is written, and must not change. At most twice GATHERED_BYTES and a chunk wait. */
  async write(chunk: Uint8Array): Promise<void> {
    await this.#gather(chunk);
  }

  /**
   * The same for a chunk that nobody else has or will look at: once it is written, its memory is given back at once. The
   * garbage collector sees small objects where there are hundreds of megabytes, and is in no hurry.
   */
  async take(chunk: Uint8Array<ArrayBuffer>): Promise<void> {
    // Where others have a part of the same memory it is not the chunk's to give.
    if (chunk.byteLength === chunk.buffer.byteLength) this.#taken.add(chunk);
    await this.#gather(chunk);
  }

  async #gather(chunk: Uint8Array): Promise<void> {
    this.#gathered.push(chunk);
    this.#gatheredBytes += chunk.length;
    if (this.#gatheredBytes >= GATHERED_BYTES) await this.#flush();
  }

  /** Waits until all that was given is in the file. */
  async written(): Promise<void> {
    await this.#flush();
    await this.#settled();
  }

  /**
   * Makes the content durable and read-only, then gives it its name, which is durable once the volume is sealed: a
   * machine that goes down before leaves a file that is right, or none.
   * @param sha256 of all that was written, 64 hex digits, as whoever wrote it knows: `seal` holds the file to it.
   */
  async finish(final: string, sha256: string): Promise<void> {
    await this.written();
    await guard(`write ${final}`, async () => {
      await this.#handle.chmod(0o444);
      await this.#handle.sync();
      await this.#handle.close();
      await rename(this.#path, final);
    });
    this.#finished(final, sha256);
  }

  async discard(): Promise<void> {
    await this.#writing;
    await this.#handle.close().catch(() => {});
    await rm(this.#path, { force: true }).catch(() => {});
  }

  /** Begins to write what is gathered, when what was gathered before is written. */
  async #flush(): Promise<void> {
    await this.#settled();
    const chunks = this.#gathered;
    const size = this.#gatheredBytes;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    if (size === 0) return;
    this.#writing = this.#writeAll(chunks, size).catch(error => {
      this.#failure = { error };
    });
  }

  async #settled(): Promise<void> {
    await this.#writing;
    if (this.#failure) throw volumeError(`write ${this.#path}`, this.#failure.error);
  }

  async #writeAll(chunks: readonly Uint8Array[], size: number): Promise<void> {
    let left = chunks;
    for (let done = 0; done < size; ) {
      const { bytesWritten } = await this.#handle.writev(left);
      done += bytesWritten;
      // The kernel may take less than all.
      if (done < size) left = behind(left, bytesWritten);
    }
    for (const chunk of chunks as readonly Uint8Array<ArrayBuffer>[]) {
      if (this.#taken.delete(chunk)) chunk.buffer.transfer(0);
    }
  }
}

/** What lies behind the first bytes of a sequence of chunks. */
function behind(chunks: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let left = bytes;
  return chunks.flatMap(chunk => {
    const rest = chunk.subarray(left);
    left -= chunk.length - rest.length;
    return rest.length > 0 ? [rest] : [];
  });
}

/** SHA-256 of a file's bytes, 64 hex digits, or null where there is no such file. */
export async function fileSha256(path: string): Promise<string | null> {
  const hash = createHash("sha256");
  try {
    await using file = await open(path, "r");
    // One buffer for all of it: a stream's chunks would be garbage by the hundred megabytes before anything collects it.
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let read = await file.read(buffer); read.bytesRead > 0; read = await file.read(buffer)) {
      hash.update(buffer.subarray(0, read.bytesRead));
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw volumeError(`read ${path}`, error);
  }
  return hash.digest("hex");
}

/** Makes a folder below `root` that everybody may read, whatever the process's umask says. */
async function makeFolder(path: string, root: string): Promise<void> {
  if (path === root || existsSync(path)) return;
  await makeFolder(dirname(path), root);
  await mkdir(path, { recursive: true });
  await chmod(path, 0o755);
}

/** Sets the mode of a folder and of all below it, and shows each name in them. Links are not followed. */
async function eachFolder(
  path: string,
  mode: number,
  visit: (inside: string, name: string) => Promise<void> = async () => {},
): Promise<void> {
  await chmod(path, mode);
  for (const entry of await readdir(path, { withFileTypes: true })) {
    await visit(path, entry.name);
    if (entry.isDirectory() && !entry.name.startsWith(UNFINISHED))
      await eachFolder(join(path, entry.name), mode, visit);
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  await folder.sync().finally(() => folder.close());
}

async function guard<Value>(what: string, action: () => Promise<Value>): Promise<Value> {
  try {
    return await action();
  } catch (error) {
    throw volumeError(what, error);
  }
}

function volumeError(what: string, error: unknown): FetchError {
  const code = (error as NodeJS.ErrnoException).code;
  const advice =
    code === "ENOSPC"
      ? ": the volume is full, raise volume.sizeLimit"
      : code === "EACCES" || code === "EPERM"
        ? ": the volume belongs to another user"
        : "";
  return new FetchError("Volume", `can't ${what}: ${messageOf(error)}${advice}`, { cause: error });
}
