import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "../cache.ts";
import { attempt } from "./command.ts";
import { ClusterError } from "./error.ts";
import { type Go, goEnvironment } from "./go.ts";
import type { Part } from "./parts.ts";
import type { Progress } from "./progress.ts";
import { stagingPath } from "./staging.ts";

const modulesFolder = fileURLToPath(new URL("../modules", import.meta.url));

/** Where built parts are kept: one folder a part and pin. */
export function builtFolder(): string {
  return cacheFolder("built");
}

/**
 * The folder with a part's binaries, compiled on first use. Compiled beside its final place and renamed into it, so
 * that neither a run at the same time nor a killed one leaves half a part under its name.
 * @throws ClusterError BadModule where go.mod and versions.ts disagree, BuildFailed with what Go said.
 */
export async function builtPart(part: Part, go: Go, progress: Progress): Promise<string> {
  const source = join(modulesFolder, part.folder);
  await checkPin(part, source);
  const folder = join(builtFolder(), `${part.name}-${part.version}-${await buildKey(part, go, source)}`);
  if (existsSync(folder)) return folder;
  progress(`building ${part.name} ${part.version} from Go modules (cold: ${part.coldBuild})`);
  const started = performance.now();
  const staging = await stagingPath(folder);
  try {
    await mkdir(staging, { recursive: true });
    for (const [binary, target] of Object.entries(part.binaries)) {
      await compile(part, go, source, target, join(staging, binary));
    }
    await rename(staging, folder);
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    // Another run may have finished the same part first: its result is as good.
    if (!existsSync(folder)) throw error;
  }
  progress(`built ${part.name} ${part.version} in ${Math.ceil((performance.now() - started) / 1000)} s`);
  return folder;
}

async function compile(part: Part, go: Go, source: string, target: string, output: string): Promise<void> {
  const args = [
    "build",
    "-mod=readonly",
    "-trimpath",
    "-buildvcs=false",
    ...(part.tags === undefined ? [] : ["-tags", part.tags]),
    "-ldflags",
    part.linkerFlags,
    "-o",
    output,
    target,
  ];
  const result = await attempt(go.path, args, { cwd: source, env: goEnvironment() });
  if (result.status === 0) return;
  const said = `${result.stdout}\n${result.stderr}`.trim().slice(-3000);
  throw new ClusterError("BuildFailed", `go build ${target} in ${source} failed (${result.status}):\n${said}`);
}

async function buildKey(part: Part, go: Go, source: string): Promise<string> {
  const hash = createHash("sha256");
  hash.update(
    JSON.stringify([
      go.version,
      go.platform,
      part.linkerFlags,
      part.binaries,
      ...(part.tags === undefined ? [] : [part.tags]),
    ]),
  );
  for (const name of (await readdir(source)).sort()) {
    hash.update(`\0${name}\0`).update(await readFile(join(source, name)));
  }
  return hash.digest("hex").slice(0, 16);
}

async function checkPin(part: Part, source: string): Promise<void> {
  if (!part.requires) return;
  const { module, version } = part.requires;
  const text = await readFile(join(source, "go.mod"), "utf8");
  const found = requiredVersion(text, module);
  if (found === version) return;
  throw new ClusterError(
    "BadModule",
    `${join(source, "go.mod")} requires ${module} ${found ?? "not at all"}, versions.ts pins ${version}: make them agree (go get ${module}@${version} in that folder)`,
  );
}

/** The version that a go.mod requires of a module, or null. Replacements are not looked at. */
export function requiredVersion(goMod: string, module: string): string | null {
  for (const line of goMod.split("\n")) {
    const [name, version] = line
      .replace(/^require\s/, "")
      .trim()
      .split(/\s+/);
    if (name === module && version?.startsWith("v")) return version;
  }
  return null;
}
