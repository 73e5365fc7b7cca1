import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { findExecutable } from "./cluster/executable.ts";
import { install, notInstallable } from "./cluster/packages.ts";
import type { Progress } from "./cluster/progress.ts";
import { spawnChecked } from "./spawn.ts";

const PACKAGE = "buildah";

/** Why this machine can't build images with buildah; null if it can. */
export async function buildahUnavailable(): Promise<string | null> {
  if (process.platform !== "linux" || process.arch !== "x64") return "the images' tests need Linux on amd64";
  if (process.getuid?.() !== 0) return "buildah needs root here, where user namespaces may be missing";
  return (await findExecutable("buildah")) ? null : notInstallable([PACKAGE]);
}

/**
 * Installs Debian's buildah where there is none.
 * @param folder where all that it stores goes; whoever made the folder removes it
 * @param registry a registry without TLS that it may pull from
 * @returns the environment in which it needs neither a daemon nor anything of the kernel
 */
export async function buildahEnvironment(
  folder: string,
  registry: string,
  progress: Progress,
): Promise<Readonly<Record<string, string>>> {
  if ((await findExecutable("buildah")) === null) await install([PACKAGE], progress);
  await mkdir(folder, { recursive: true });
  const file = async (name: string, lines: readonly string[]) => {
    const path = join(folder, name);
    await writeFile(path, `${lines.join("\n")}\n`);
    return path;
  };
  const text = JSON.stringify;
  // What the checkout's own `npm ci` has fetched need not be fetched again.
  const cache = (await spawnChecked("npm", ["config", "get", "cache"])).trim() || join(homedir(), ".npm");
  await mkdir(cache, { recursive: true });
  return {
    BUILDAH_ISOLATION: "chroot",
    CONTAINERS_STORAGE_CONF: await file("storage.conf", [
      "[storage]",
      'driver = "vfs"',
      `graphroot = ${text(join(folder, "storage"))}`,
      `runroot = ${text(join(folder, "run"))}`,
    ]),
    CONTAINERS_CONF: await file("containers.conf", ["[containers]", `volumes = [${text(`${cache}:/root/.npm`)}]`]),
    CONTAINERS_REGISTRIES_CONF: await file("registries.conf", [
      "[[registry]]",
      `location = ${text(registry)}`,
      "insecure = true",
    ]),
  };
}

/** npm's configuration of this machine's user, where there is one. */
export function npmrc(): string | null {
  const path = join(homedir(), ".npmrc");
  return existsSync(path) ? path : null;
}
