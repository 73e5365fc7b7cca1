import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { makeFolder } from "../folder.ts";
import { FetchError } from "./error.ts";
import { type FileState, isSameState, stateOfNamed } from "./file-state.ts";
import { folderSynced } from "./sync.ts";
import { type FinishedFile, UnfinishedFile } from "./unfinished-file.ts";
import { guard, volumeError } from "./volume-error.ts";

/** Unfinished files start so; one that is left belongs to a fetcher that was killed. */
const UNFINISHED = ".unfinished-";
const CHUNK_BYTES = 256 * 1024;
const FOLDERS = ["modules", "filters", "bootstrap", "blobs"] as const;
/** Made when they are written to: most plans have no rules, and few data planes want modules by slot. */
const LATE_FOLDERS = ["evidence", "slots"] as const;
export type Folder = (typeof FOLDERS)[number] | (typeof LATE_FOLDERS)[number];

/** What a file has to be at the end. */
interface Expected {
  readonly sha256: string;
  /** How this run left it; null for what has to be read again. */
  readonly state: FileState | null;
}

/**
 * The shared volume. Nothing appears on it under its final name before it is whole, on disk and read-only; what was
 * written is remembered for a last look before the proxy may start.
 */
export class Volume {
  readonly root: string;
  readonly #written = new Map<string, Expected>();
  readonly #later: Promise<void>[] = [];
  #unfinished = 0;

  constructor(root: string) {
    this.root = root;
  }

  /** Makes the folders, opens those of an earlier run for writing, and clears what it left unfinished. */
  open(): void {
    for (const folder of this.#folders()) {
      const path = this.path(folder);
      guard(`open ${path}`, () => {
        makeReadable(path);
        eachFolder(path, 0o755, (inside, name) => {
          if (name.startsWith(UNFINISHED)) rmSync(join(inside, name), { recursive: true, force: true });
        });
      });
    }
  }

  #folders(): readonly Folder[] {
    return [...FOLDERS, ...LATE_FOLDERS.filter(folder => existsSync(this.path(folder)))];
  }

  path(folder: Folder, ...names: string[]): string {
    // The plan's root has no dots to resolve, and `join` would be called more often than anything else of a fetcher's start.
    return [this.root, folder, ...names].join("/");
  }

  /** Opens an unfinished file beside its final place. One of `finish` and `discard` ends it. */
  create(final: string): UnfinishedFile {
    return this.#create(final, (name, { sha256, state }) => this.#written.set(name, { sha256, state }));
  }

  #create(final: string, finished: (name: string, file: FinishedFile) => void): UnfinishedFile {
    const temporary = this.#unfinishedBeside(final);
    const descriptor = guard(`create ${final}`, () => {
      makeReadable(dirname(final));
      return openSync(temporary, "wx+", 0o600);
    });
    return new UnfinishedFile(temporary, descriptor, finished);
  }

  /**
   * Writes a whole file under its final name. It is small enough to be read back.
   * @param after what has to be there before it has that name
   */
  async write(final: string, content: string | Uint8Array, after?: Promise<unknown>): Promise<void> {
    const bytes = Buffer.from(content);
    const file = this.#create(final, (name, { sha256 }) => this.#written.set(name, { sha256, state: null }));
    try {
      file.write(bytes);
    } catch (error) {
      await file.discard();
      throw error;
    }
    await file.finish(final, createHash("sha256").update(bytes).digest("hex"), after);
  }

  /**
   * Gives a file of the volume a second name. The link replaces another one at once, and is read through at the end.
   * @param sha256 of the file, 64 hex digits
   */
  link(final: string, file: string, sha256: string): void {
    const temporary = this.#unfinishedBeside(final);
    guard(`link ${final}`, () => {
      makeReadable(dirname(final));
      symlinkSync(relative(dirname(final), file), temporary);
      renameSync(temporary, final);
    });
    this.adopt(final, sha256);
  }

  /** A name that nothing has: what an earlier run left is gone, and no other one runs. */
  #unfinishedBeside(final: string): string {
    this.#unfinished += 1;
    return `${dirname(final)}/${UNFINISHED}${this.#unfinished}`;
  }

  /** Counts a file of an earlier run as ours, to be looked at again with the rest. */
  adopt(final: string, sha256: string): void {
    this.#written.set(final, { sha256, state: null });
  }

  /** Lets a file be finished while other things are done. */
  later(finishing: Promise<void>): void {
    this.#later.push(finishing);
    // Told by `settled`.
    finishing.catch(() => {});
  }

  /** Waits for all that was left for later until now. @throws the first failure of it, once all of it has ended */
  async settled(): Promise<void> {
    const failed = (await Promise.allSettled(this.#later)).find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") throw failed.reason;
  }

  /**
   * Looks at all that was written or adopted, makes the names durable and closes the folders. What this run streamed to
   * disk, hashing it on its way, is held to the state that it was left in, and where that is another one now to its hash;
   * all else is read back.
   * @returns how many files there are
   * @throws FetchError Altered, naming the file.
   */
  async seal(): Promise<number> {
    await this.settled();
    for (const [path, { sha256, state }] of this.#written) {
      const now = state && guard(`read ${path}`, () => stateOfNamed(path));
      if (state !== null && isSameState(state, now)) continue;
      const found = fileSha256(path);
      if (found === sha256) continue;
      throw new FetchError("Altered", `${path} has sha256 ${found ?? "of nothing: it is gone"}, written was ${sha256}`);
    }
    const folders = new Set([...this.#written.keys()].map(path => dirname(path)));
    // Together: the file system writes them out as one.
    await Promise.all(
      [...folders].map(folder =>
        folderSynced(folder).catch(error => {
          throw volumeError(`sync ${folder}`, error);
        }),
      ),
    );
    for (const folder of this.#folders()) guard(`close ${folder}`, () => eachFolder(this.path(folder), 0o555));
    return this.#written.size;
  }
}

/** SHA-256 of a file's bytes, 64 hex digits, or null where there is no such file. */
export function fileSha256(path: string): string | null {
  const hash = createHash("sha256");
  try {
    const descriptor = openSync(path, "r");
    try {
      // One buffer for all of it: a stream's chunks would be garbage by the hundred megabytes before anything collects it.
      const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
      for (let read = readSync(descriptor, buffer); read > 0; read = readSync(descriptor, buffer)) {
        hash.update(buffer.subarray(0, read));
      }
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw volumeError(`read ${path}`, error);
  }
  return hash.digest("hex");
}

/** Everybody may read it, whatever the process's umask says. */
function makeReadable(path: string): void {
  makeFolder(path, folder => chmodSync(folder, 0o755));
}

/** Sets the mode of a folder and of all below it, and shows each name in them. Links are not followed. */
function eachFolder(path: string, mode: number, visit: (inside: string, name: string) => void = () => {}): void {
  chmodSync(path, mode);
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    visit(path, entry.name);
    if (entry.isDirectory() && !entry.name.startsWith(UNFINISHED)) eachFolder(join(path, entry.name), mode, visit);
  }
}
