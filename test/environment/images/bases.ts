import { readdir, readlink, realpath } from "node:fs/promises";
import { join } from "node:path";
import { findExecutable } from "../cluster/executable.ts";
import type { Progress } from "../cluster/progress.ts";
import { foreignNode } from "../foreign-node.ts";
import { binaryWithLibraries } from "./binary.ts";
import { type BuiltImage, builtImage, nodeBinary, PATH } from "./images.ts";
import type { ImageEntry } from "./layer.ts";

/** Images of one name, by the architecture that they are for. */
export type PlatformImages = Readonly<Record<"amd64" | "arm64", BuiltImage>>;

/** The images that the Dockerfile starts from, where no registry can be reached: made of this machine's own files. */
export interface BaseImages {
  /** In the place of docker.io/library/node: Node, npm and a shell. That of the other machine has Node alone. */
  readonly build: PlatformImages;
  /** In the place of gcr.io/distroless/cc: the libraries that Node needs, and nothing to run. */
  readonly base: PlatformImages;
}

const NODE = "/usr/local/bin/node";
const TMP: ImageEntry = { kind: "folder", path: "/tmp", mode: 0o1777 };
const FOLDERS: readonly ImageEntry[] = [{ kind: "folder", path: "/root", mode: 0o700 }, TMP];

/** @throws Error where this machine lacks a program that goes into them */
export async function baseImages(progress: Progress): Promise<BaseImages> {
  const node = await binaryWithLibraries(nodeBinary(), NODE);
  const tools = await Promise.all(["sh", "env"].map(tool));
  const foreign = await foreignNode(progress);
  return {
    build: {
      amd64: await image("build", "amd64", unique([...node, ...tools.flat(), ...(await npm()), ...FOLDERS])),
      arm64: await image("build", "arm64", [{ kind: "file", path: NODE, mode: 0o755, source: { path: foreign } }]),
    },
    base: {
      amd64: await image("base", "amd64", [...node.filter(({ path }) => path !== NODE), TMP]),
      // No library of that machine is here; nothing of the image is run.
      arm64: await image("base", "arm64", [TMP]),
    },
  };
}

function image(name: string, architecture: string, entries: readonly ImageEntry[]): Promise<BuiltImage> {
  return builtImage({
    reference: `docker.io/local/${name}-${architecture}:1`,
    architecture,
    entries,
    entrypoint: [NODE],
    user: "0:0",
    env: [PATH, "HOME=/root"],
  });
}

async function tool(name: string): Promise<readonly ImageEntry[]> {
  const path = await findExecutable(name);
  if (path === null) throw new Error(`this machine has no ${name}`);
  return binaryWithLibraries(await realpath(path), name === "sh" ? "/bin/sh" : `/usr/bin/${name}`);
}

/** The npm of this machine. */
async function npm(): Promise<readonly ImageEntry[]> {
  const path = await findExecutable("npm");
  if (path === null) throw new Error("this machine has no npm");
  const folder = join(await realpath(path), "../..");
  return [
    ...(await tree(folder, "/usr/local/lib/node_modules/npm")),
    { kind: "symlink", path: "/usr/local/bin/npm", target: "../lib/node_modules/npm/bin/npm-cli.js" },
  ];
}

async function tree(folder: string, destination: string): Promise<readonly ImageEntry[]> {
  const entries: ImageEntry[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    const source = join(entry.parentPath, entry.name);
    const path = `${destination}${source.slice(folder.length)}`;
    if (entry.isSymbolicLink()) entries.push({ kind: "symlink", path, target: await readlink(source) });
    else if (entry.isFile()) entries.push({ kind: "file", path, mode: 0o755, source: { path: source } });
  }
  return entries;
}

/** Several programs need the same library. */
function unique(entries: readonly ImageEntry[]): readonly ImageEntry[] {
  return [...new Map(entries.map(entry => [entry.path, entry])).values()];
}
