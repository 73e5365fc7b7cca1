import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { type FileHandle, link, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { messageOf } from "../error.ts";
import { makeFolder } from "../folder.ts";
import { StoreError } from "./error.ts";

/** Unfinished files start so. One that is left belongs to a process that was killed. */
export const UNFINISHED = ".wasmount-unfinished-";

/**
 * A file that is being written, under a name that nobody reads, beside its final place. Exactly one of `finish` and
 * `discard` ends it; whatever happens before, the final name shows the old file or none.
 */
export class NewFile {
  readonly #final: string;
  readonly #mode: WhenThere;
  readonly #path: string;
  readonly #handle: FileHandle;

  private constructor(final: string, mode: WhenThere, path: string, handle: FileHandle) {
    this.#final = final;
    this.#mode = mode;
    this.#path = path;
    this.#handle = handle;
  }

  /** @throws {StoreError} Exists, Storage */
  static async create(final: string, mode: WhenThere, permissions = 0o644): Promise<NewFile> {
    // Only for an early word: what counts is the look that comes with the name.
    if (mode === "keep" && existsSync(final)) throw exists(final);
    const path = join(dirname(final), `${UNFINISHED}${randomBytes(8).toString("hex")}`);
    return storing(`create ${final}`, async () => {
      makeFolder(dirname(final));
      return new NewFile(final, mode, path, await open(path, "wx+", permissions));
    });
  }

  /** Writes a whole file. @throws {StoreError} Exists, Storage */
  static async write(final: string, content: Uint8Array, mode: WhenThere, permissions?: number): Promise<void> {
    const file = await NewFile.create(final, mode, permissions);
    try {
      await file.write(content);
      await file.finish();
    } finally {
      await file.discard();
    }
  }

  get descriptor(): number {
    return this.#handle.fd;
  }

  async write(chunk: Uint8Array): Promise<void> {
    await storing(`write ${this.#final}`, async () => {
      for (let done = 0; done < chunk.length; ) done += (await this.#handle.write(chunk, done)).bytesWritten;
    });
  }

  /** Makes the content durable and gives it its name. @throws {StoreError} Exists, Storage */
  async finish(): Promise<void> {
    await storing(`write ${this.#final}`, async () => {
      await this.#handle.sync();
      if (this.#mode === "replace") await rename(this.#path, this.#final);
      // A link fails where the name is taken; a rename would replace what came since the first look.
      else await link(this.#path, this.#final).then(() => rm(this.#path));
      await this.#handle.close();
    });
  }

  /** Safe after `finish`, too. */
  async discard(): Promise<void> {
    await this.#handle.close().catch(() => {});
    await rm(this.#path, { force: true }).catch(() => {});
  }
}

/** What becomes of a file that is there already: it is replaced, or it stays and the new one is refused. */
export type WhenThere = "replace" | "keep";

/** Runs an action on the file system; what fails there says what we were about to do. */
export async function storing<T>(what: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw error instanceof StoreError ? error : storageError(what, error);
  }
}

/** What the file system said, and what we were about to do. */
export function storageError(what: string, cause: unknown): StoreError {
  const { code, dest } = cause as NodeJS.ErrnoException & { readonly dest?: string };
  if (code === "EEXIST" && dest !== undefined) return exists(dest);
  return new StoreError("Storage", `can't ${what}: ${messageOf(cause)}`, { cause });
}

function exists(path: string): StoreError {
  return new StoreError("Exists", `${path} exists; --force replaces it`);
}
