import { closeSync, fchmodSync, renameSync, rmSync, writeSync } from "node:fs";
import { FetchError } from "./error.ts";
import { type FileState, stateOfOpen } from "./file-state.ts";
import { bytesSynced, synced } from "./sync.ts";
import { guard, volumeError } from "./volume-error.ts";

/** So many bytes are begun to be brought to disk while the next ones come: at the end little is left to wait for. */
const AHEAD_BYTES = 2 * 1024 * 1024;
/** Such syncs at a time: a disk is busy with the next bytes once these are there. One of Node's four threads stays free. */
const MAX_SYNCS = 3;

/** Writes some of the bytes. @returns how many */
export type Write = (descriptor: number, bytes: Uint8Array) => number;

/** What became of a file: the hash that its bytes have, and the state that it was left in. */
export interface FinishedFile {
  readonly sha256: string;
  readonly state: FileState;
}

/**
 * A file that is being written, under a name that nobody reads. Bytes are written at once, by this thread: on one core a
 * copy for another thread, and waking it, costs more than the write.
 */
export class UnfinishedFile {
  readonly descriptor: number;
  readonly #path: string;
  readonly #finished: (name: string, file: FinishedFile) => void;
  readonly #write: Write;
  #size = 0;
  #open = true;
  #isComplete = false;
  #unsynced = 0;
  readonly #syncs = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | null = null;

  constructor(
    path: string,
    descriptor: number,
    finished: (name: string, file: FinishedFile) => void,
    write: Write = writeSync,
  ) {
    this.#path = path;
    this.descriptor = descriptor;
    this.#finished = finished;
    this.#write = write;
  }

  /** Appends a chunk, which is the caller's again afterwards. @throws FetchError Volume */
  write(chunk: Uint8Array): void {
    this.#refuseFailed(this.#path);
    guard(`write ${this.#path}`, () => {
      // The kernel may take less than all.
      for (let left = chunk; left.length > 0; ) left = left.subarray(this.#write(this.descriptor, left));
    });
    this.#size += chunk.length;
    this.#unsynced += chunk.length;
    if (this.#unsynced >= AHEAD_BYTES && this.#syncs.size < MAX_SYNCS) this.#begin(bytesSynced);
  }

  /**
   * Appends a chunk of many. Where bytes wait for others to be on disk the event loop has a turn: it alone tells of those,
   * and reading from a socket can keep it from that for many MiB.
   * @throws FetchError Volume
   */
  async append(chunk: Uint8Array): Promise<void> {
    this.write(chunk);
    if (this.#unsynced >= AHEAD_BYTES) await new Promise(setImmediate);
  }

  /**
   * Says that no more comes: all of it, read-only, is begun to be brought to disk, while it is judged perhaps.
   * @throws FetchError Volume
   */
  complete(): void {
    if (this.#isComplete) return;
    this.#isComplete = true;
    guard(`write ${this.#path}`, () => fchmodSync(this.descriptor, 0o444));
    this.#begin(synced);
  }

  /**
   * Gives the file its name once its content is on disk; the name is, once the volume is sealed: a machine that goes down
   * before leaves a file that is right, or none. Where that fails, nothing is left.
   * @param sha256 of all that was written, 64 hex digits, as whoever wrote it knows: `seal` holds the file to it.
   * @param after what has to be there before it has a name
   * @throws FetchError Volume, Altered, and what `after` throws
   */
  async finish(final: string, sha256: string, after?: Promise<unknown>): Promise<void> {
    try {
      this.complete();
      // Which sync is told of lost bytes, the system doesn't say.
      await Promise.all(this.#syncs);
      this.#refuseFailed(final);
      await after;
      const state = guard(`write ${final}`, () => this.#rename(final));
      this.#finished(final, { sha256, state });
    } catch (error) {
      await this.discard();
      throw error;
    }
  }

  async discard(): Promise<void> {
    await Promise.all(this.#syncs);
    this.#close();
    rmSync(this.#path, { force: true });
  }

  #rename(final: string): FileState {
    const { size, links } = stateOfOpen(this.descriptor);
    if (size !== BigInt(this.#size) || links !== 1n) throw alteration(final);
    renameSync(this.#path, final);
    // After it, since a new name is a change.
    const state = stateOfOpen(this.descriptor);
    this.#close();
    return state;
  }

  #close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.descriptor);
  }

  #begin(syncing: (descriptor: number) => Promise<void>): void {
    this.#unsynced = 0;
    const sync = syncing(this.descriptor)
      // The system tells of bytes that it lost only once.
      .catch(error => {
        this.#failure = { error };
      })
      .finally(() => this.#syncs.delete(sync));
    this.#syncs.add(sync);
  }

  #refuseFailed(path: string): void {
    if (this.#failure) throw volumeError(`write ${path}`, this.#failure.error);
  }
}

function alteration(path: string): FetchError {
  return new FetchError("Altered", `${path} was changed by somebody else while it was written`);
}
