import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { extract } from "tar-stream";
import { dockerConfigPath, localCredentials } from "../src/docker/local-credentials.ts";
import { RegistryClient } from "../src/oci/client.ts";
import { proxyFromEnvironment } from "../src/oci/proxy.ts";
import { formatReference, parseReference } from "../src/oci/reference.ts";
import { readIndex } from "../src/store/layout-index.ts";
import { ReleaseError } from "./error.ts";

/** An image that the Dockerfile starts from. */
export interface BaseImage {
  /** The argument of the Dockerfile that names it. */
  readonly argument: string;
  /** As it was named. */
  readonly name: string;
  readonly digest: string;
  /** What the builder is told: the same image by its digest. */
  readonly pinned: string;
}

const ARCHIVE = "oci-archive:";
const MAX_INDEX = 1024 * 1024;

/** The default of an argument that stands before the Dockerfile's first stage. @throws {ReleaseError} BadArgument */
export async function defaultBase(checkout: string, argument: string): Promise<string> {
  const text = await readFile(join(checkout, "Dockerfile"), "utf8");
  const [, name] = new RegExp(`^ARG ${argument}=(\\S+)$`, "m").exec(text.split(/^FROM /m)[0] ?? "") ?? [];
  if (name !== undefined) return name;
  throw new ReleaseError("BadArgument", `the Dockerfile has no default for ${argument}`);
}

/**
 * What a name stands for at this moment. All platforms are then built from that, and the provenance names it.
 * @param name of an image in a registry, or "oci-archive:FILE" where there is none
 * @throws {RegistryError}, {ImageReferenceError}, {ReleaseError}
 */
export async function resolveBase(argument: string, name: string): Promise<BaseImage> {
  if (name.startsWith(ARCHIVE))
    return { argument, name: "local", digest: await archivedDigest(name.slice(ARCHIVE.length)), pinned: name };
  const reference = parseReference(name);
  const digest = reference.digest ?? (await digestInRegistry(reference));
  return {
    argument,
    name: formatReference(reference),
    digest,
    pinned: formatReference({ ...reference, tag: null, digest }),
  };
}

async function digestInRegistry(reference: ReturnType<typeof parseReference>): Promise<string> {
  const docker = { path: dockerConfigPath(process.env, homedir()), environment: process.env };
  const client = new RegistryClient({
    credentials: await localCredentials({ ...docker, warn: line => process.stderr.write(`${line}\n`) }),
    proxy: proxyFromEnvironment(process.env),
  });
  try {
    return (await client.resolve(reference)).digest;
  } finally {
    client.close();
  }
}

async function archivedDigest(path: string): Promise<string> {
  const reader = extract();
  const source = createReadStream(path);
  source.on("error", error => reader.destroy(error));
  source.pipe(reader);
  for await (const entry of reader) {
    if (entry.header.name !== "index.json" || (entry.header.size ?? 0) > MAX_INDEX) {
      entry.resume();
      continue;
    }
    const [image, ...more] = readIndex(await buffer(entry), path);
    source.destroy();
    if (image && more.length === 0) return image.digest;
    break;
  }
  throw new ReleaseError("BadArgument", `${path} is no archive of one image`);
}
