import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { extract } from "tar-stream";
import { isLoopback } from "../src/cli/image-verb.ts";
import { dockerConfigPath, localCredentials } from "../src/docker/local-credentials.ts";
import { RegistryClient } from "../src/oci/client.ts";
import type { ImageIndex } from "../src/oci/manifest.ts";
import { proxyFromEnvironment } from "../src/oci/proxy.ts";
import { formatReference, parseReference, type Reference } from "../src/oci/reference.ts";
import { listedIn, readIndex } from "../src/store/layout-index.ts";
import { ReleaseError } from "./error.ts";
import type { Platform } from "./platform.ts";

/** An image that the Dockerfile starts from. */
export interface BaseImage {
  /** The argument of the Dockerfile that names it. */
  readonly argument: string;
  /** As it was named. */
  readonly name: string;
  readonly digest: string;
  /**
   * What the builder is told, for each platform: its own image by its digest. By the digest of an index buildah takes
   * whatever it fetched by that name before, also another platform's.
   */
  pinned(platform: Platform): string;
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
 * @param name of an image in a registry, or "oci-archive:FILE" for a release for one platform without any
 * @throws {RegistryError}, {ImageReferenceError}, {ReleaseError}
 */
export async function resolveBase(argument: string, name: string): Promise<BaseImage> {
  if (name.startsWith(ARCHIVE))
    return { argument, name: "local", digest: await archivedDigest(name.slice(ARCHIVE.length)), pinned: () => name };
  const reference = parseReference(name);
  const { registry, repository, tag } = reference;
  const { digest, manifest } = await fromRegistry(reference);
  return {
    argument,
    name: formatReference({ registry, repository, tag, digest: null }),
    digest,
    pinned: platform =>
      formatReference({ registry, repository, tag: null, digest: imageFor(manifest, platform, name) }),
  };
}

function imageFor(manifest: ImageIndex, { architecture }: Platform, name: string): string {
  const fitting = manifest.manifests.find(
    ({ platform }) => platform?.os === "linux" && platform.architecture === architecture,
  );
  if (fitting !== undefined) return fitting.digest;
  throw new ReleaseError("BadArgument", `${name} has no image for linux/${architecture}`);
}

async function fromRegistry(reference: Reference): Promise<{ readonly digest: string; readonly manifest: ImageIndex }> {
  const { registry, repository, tag, digest } = reference;
  const docker = { path: dockerConfigPath(process.env, homedir()), environment: process.env };
  const client = new RegistryClient({
    registries: [{ host: registry, plainHttp: isLoopback(registry) }],
    credentials: await localCredentials({ ...docker, warn: line => process.stderr.write(`${line}\n`) }),
    proxy: proxyFromEnvironment(process.env),
  });
  try {
    const found = await client.manifest(registry, repository, digest ?? tag ?? "latest");
    if (found.manifest.kind === "index") return { digest: found.digest, manifest: found.manifest };
    throw new ReleaseError("BadArgument", `${formatReference(reference)} is of one platform alone: name an index`);
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
    const [image, ...more] = listedIn(readIndex(await buffer(entry), path));
    source.destroy();
    if (image && more.length === 0) return image.digest;
    break;
  }
  throw new ReleaseError("BadArgument", `${path} is no archive of one image`);
}
