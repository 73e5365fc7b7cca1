import { readdir, readlink, realpath } from "node:fs/promises";
import { join } from "node:path";
import { findExecutable } from "../cluster/executable.ts";
import { binaryWithLibraries } from "./binary.ts";
import { type BuiltImage, builtImage, nodeBinary, PATH } from "./images.ts";
import type { ImageEntry } from "./layer.ts";

/** The images that the Dockerfile starts from, where no registry can be reached: made of this machine's own files. */
export interface BaseImages {
  /** In the place of docker.io/library/node: Node, npm and a shell. */
  readonly build: BuiltImage;
  /** In the place of gcr.io/distroless/cc: the libraries that Node needs, and nothing to run. */
  readonly base: BuiltImage;
}

export async function baseImages(): Promise<BaseImages> {
  const node = await binaryWithLibraries(nodeBinary(), "/usr/local/bin/node");
  const libraries = node.filter(({ path }) => path !== "/usr/local/bin/node");
  const folders: readonly ImageEntry[] = [
    { kind: "folder", path: "/tmp", mode: 0o1777 },
    { kind: "folder", path: "/root", mode: 0o700 },
  ];
  const tools = await Promise.all(["sh", "env"].map(tool));
  const entries = [...node, ...tools.flat(), ...(await npm()), ...folders];
  return {
    build: await builtImage({
      reference: "docker.io/local/build-base:1",
      entries: unique(entries),
      entrypoint: ["/usr/local/bin/node"],
      user: "0:0",
      env: [PATH, "HOME=/root"],
    }),
    base: await builtImage({
      reference: "docker.io/local/run-base:1",
      entries: unique([...libraries, folders[0] as ImageEntry]),
      entrypoint: [],
      user: "65532:65532",
      env: [PATH],
    }),
  };
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
