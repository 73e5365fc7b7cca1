import { setTimeout as sleep } from "node:timers/promises";
import { StoreError } from "./error.ts";

const POLL_MS = 20;
const PATIENCE_MS = 30_000;
/** SQLite's result code for a lock that somebody else has. */
const SQLITE_BUSY = 5;

/**
 * Runs an action while no other process runs one under the same lock file. Node has no flock of its own; SQLite, which
 * is part of it, takes the operating system's locks, which end with the process however it ends: a lock file that says
 * "I am taken" would outlive a kill. The database stays empty.
 * @throws {StoreError} Busy after 30 s of somebody else's, and whatever the action throws
 */
export async function locked<T>(file: string, signal: AbortSignal | undefined, action: () => Promise<T>): Promise<T> {
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    for (let waited = 0; !taken(() => database.exec("BEGIN EXCLUSIVE")); waited += POLL_MS) {
      if (waited >= PATIENCE_MS) throw new StoreError("Busy", `another process has held ${file} for 30 s; try again`);
      await sleep(POLL_MS, undefined, { signal });
    }
    return await action();
  } finally {
    database.close();
  }
}

function taken(take: () => void): boolean {
  try {
    take();
    return true;
  } catch (error) {
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return false;
    throw error;
  }
}
