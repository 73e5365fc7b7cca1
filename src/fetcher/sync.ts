import { closeSync, fdatasync, fsync, openSync } from "node:fs";

/**
 * Waits until a file and all that is known of it are on disk. Of all that is done to files this alone is left to another
 * thread: it is waited for, not computed, and there is other work meanwhile.
 */
export function synced(descriptor: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fsync(descriptor, error => (error ? reject(error) : resolve()));
  });
}

/** Waits until a file's bytes are on disk. */
export function bytesSynced(descriptor: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fdatasync(descriptor, error => (error ? reject(error) : resolve()));
  });
}

/** Waits until the names in a folder are on disk. */
export async function folderSynced(path: string): Promise<void> {
  const descriptor = openSync(path, "r");
  await synced(descriptor).finally(() => closeSync(descriptor));
}
