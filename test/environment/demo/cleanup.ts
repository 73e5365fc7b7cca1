import { chmod, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

/** What a run must undo, in the reverse of the order in which it was done. */
export class Cleanup {
  readonly #actions: { readonly name: string; readonly undo: () => Promise<void> }[] = [];

  add(name: string, undo: () => Promise<void>): void {
    this.#actions.push({ name, undo });
  }

  /** Removes a folder at the end, read-only folders in it included. */
  folder(path: string): void {
    this.add(path, async () => {
      await unlock(path);
      await rm(path, { recursive: true, force: true });
    });
  }

  /** Undoes all of it, whatever fails on the way. */
  async run(): Promise<void> {
    for (let action = this.#actions.pop(); action; action = this.#actions.pop()) {
      const { name } = action;
      await action.undo().catch(error => process.stderr.write(`cleaning up ${name}: ${error}\n`));
    }
  }
}

/** The fetcher leaves its folders read-only, and only root removes files from those. */
async function unlock(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await unlock(join(folder, entry.name));
  }
}
