import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder } from "./cache.ts";
import { attempt, run } from "./cluster/command.ts";
import { findExecutable } from "./cluster/executable.ts";
import type { Progress } from "./cluster/progress.ts";
import { stagingPath } from "./cluster/staging.ts";
import { versions } from "./versions.ts";

const PACKAGE = "docker-registry";

/** Why Debian's registry can't be had on this machine, or null where it can. */
export async function debianRegistryUnavailable(): Promise<string | null> {
  if (existsSync(programBelow(unpackedFolder()))) return null;
  if (process.env["WASMOUNT_NO_APT"]) return `${PACKAGE} is a Debian package, and WASMOUNT_NO_APT forbids to get it`;
  const tools = await Promise.all(["apt-get", "dpkg-deb"].map(name => findExecutable(name)));
  return tools.every(Boolean) ? null : `${PACKAGE} is a Debian package, and there is no apt-get or dpkg-deb`;
}

/**
 * The path of Debian's registry, from its package, which is unpacked into the cache on first use: nothing is installed
 * on this machine, so its service and its configuration stay out of the way.
 * @throws Error where Debian has another release than versions.ts
 */
export async function debianRegistry(progress: Progress): Promise<string> {
  const folder = unpackedFolder();
  if (!existsSync(programBelow(folder))) {
    progress(`unpacking the Debian package ${PACKAGE} into ${folder} (WASMOUNT_NO_APT=1 forbids it)`);
    const staging = await stagingPath(folder);
    try {
      await mkdir(staging, { recursive: true });
      await download(staging);
      const [file] = (await readdir(staging)).filter(name => name.endsWith(".deb"));
      if (!file?.startsWith(`${PACKAGE}_${versions.debianRegistry}`)) {
        throw new Error(`Debian has ${file}, versions.ts pins ${versions.debianRegistry}: make them agree`);
      }
      await run("dpkg-deb", ["--extract", join(staging, file), staging]);
      await rename(staging, folder);
    } catch (error) {
      await rm(staging, { recursive: true, force: true });
      if (!existsSync(folder)) throw error;
    }
  }
  return programBelow(folder);
}

async function download(cwd: string): Promise<void> {
  const args = ["download", PACKAGE];
  if ((await attempt("apt-get", args, { cwd })).status === 0) return;
  // A fresh machine or image has no package lists yet.
  await attempt("apt-get", ["update"]);
  await run("apt-get", args, { cwd });
}

function unpackedFolder(): string {
  return cacheFolder(`${PACKAGE}-${versions.debianRegistry}`);
}

function programBelow(folder: string): string {
  return join(folder, "usr/bin", PACKAGE);
}
