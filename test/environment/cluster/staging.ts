import { mkdir, readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { identityOf } from "./process.ts";

const mark = ".partial-";

/**
 * A path beside a final one, to write at and then rename from. What killed processes left at such paths in the same
 * folder is removed.
 */
export async function stagingPath(final: string): Promise<string> {
  const folder = dirname(final);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const name of await readdir(folder)) {
    const writer = Number(name.split(mark)[1]?.split(".")[0]);
    if (Number.isInteger(writer) && (await identityOf(writer)) === null) {
      await rm(join(folder, name), { recursive: true, force: true });
    }
  }
  return join(folder, `${basename(final)}${mark}${process.pid}`);
}
