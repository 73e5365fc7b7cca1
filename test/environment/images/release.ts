import { createHash, type Hash } from "node:crypto";
import { createWriteStream, existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { pack } from "tar-stream";
import type { Release } from "../../../release/release.ts";
import { createAuthority } from "../../../src/certs/authority.ts";
import { RegistryClient } from "../../../src/oci/client.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../../../src/oci/media-types.ts";
import { LayoutFolder } from "../../../src/store/layout-folder.ts";
import { LAYOUT_MARK } from "../../../src/store/layout-index.ts";
import { buildahEnvironment, npmrc } from "../buildah.ts";
import { cacheFolder } from "../cache.ts";
import type { Progress } from "../cluster/progress.ts";
import { stagingPath } from "../cluster/staging.ts";
import { startDistributionRegistry } from "../distribution-registry.ts";
import { spawnChecked } from "../spawn.ts";
import { MAIN } from "../webhook-process.ts";
import { readArchive } from "./archive.ts";
import { type BaseImages, baseImages, type PlatformImages } from "./bases.ts";
import type { BuiltImage } from "./images.ts";
import { addEntry } from "./layer.ts";

export interface TestRelease extends Release {
  /** What release/main.ts wrote. */
  readonly folder: string;
  /** By the Dockerfile's arguments: what the images started from. */
  readonly bases: Readonly<Record<"BUILD" | "BASE", string>>;
  /** What the builder and npm wrote while it was made. */
  readonly log: string;
}

/** What stands in a file that the build is given as a secret. */
export const SECRET = "wasmount-test-secret-5b0f61d2";
export const EPOCH = 1_700_000_000;
export const REVISION = "0123456789abcdef0123456789abcdef01234567";
export const SOURCE = "https://example.test/wasmount";

const CHECKOUT = fileURLToPath(new URL("../../..", import.meta.url));
const REPORT = "release.json";

/**
 * A release of these sources by `release/main.ts` for both platforms, as its user makes one, with base images of this
 * machine's files from a registry of its own. Kept, and made again when anything in it has changed.
 */
export async function testRelease(version: string, progress: Progress): Promise<TestRelease> {
  const bases = await baseImages(progress);
  const folder = cacheFolder("images", `release-${await contentKey(bases)}`);
  if (!existsSync(join(folder, REPORT))) {
    await rm(folder, { recursive: true, force: true });
    await removeOlder(folder);
    progress("building the image of the Dockerfile with buildah, for amd64 and arm64");
    const staging = await stagingPath(folder);
    try {
      await make(version, bases, staging, progress);
      await rename(staging, folder);
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  }
  return { folder, ...JSON.parse(await readFile(join(folder, REPORT), "utf8")) };
}

async function make(version: string, bases: BaseImages, output: string, progress: Progress): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "wasmount-buildah-"));
  const registry = await startDistributionRegistry(join(folder, "registry"), "127.0.0.1", progress);
  try {
    const named = {
      BUILD: await pushIndex(bases.build, `${registry.address}/build:1`),
      BASE: await pushIndex(bases.base, `${registry.address}/base:1`),
    };
    const ca = join(folder, "ca.crt");
    const { NODE_EXTRA_CA_CERTS: extra } = process.env;
    const { certificate } = await createAuthority("wasmount test CA", 7, new Date());
    await writeFile(ca, `# ${SECRET}\n${certificate}${extra ? await readFile(extra, "utf8") : ""}`);
    const user = npmrc();
    const options = ["--revision", REVISION, "--source", SOURCE, "--level", "3", "--output", output, "--ca", ca];
    const base = ["--build", named.BUILD, "--base", named.BASE, ...(user === null ? [] : ["--npmrc", user])];
    const env = await buildahEnvironment(join(folder, "buildah"), registry.address, progress);
    const args = [join(CHECKOUT, "release/main.ts"), version, ...options, ...base];
    const said = await spawnChecked(process.execPath, args, {
      env: { ...process.env, ...env, SOURCE_DATE_EPOCH: `${EPOCH}` },
    });
    const at = said.lastIndexOf("\n{\n") + 1;
    const report = { ...JSON.parse(said.slice(at)), bases: named, log: said.slice(0, at) };
    await writeFile(join(output, REPORT), JSON.stringify(report));
  } finally {
    await registry.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** @returns the reference */
async function pushIndex(images: PlatformImages, reference: string): Promise<string> {
  const [repository = ""] = reference.split(/:\d$/);
  const host = repository.slice(0, repository.lastIndexOf("/"));
  const manifests = [];
  for (const [architecture, { archivePath }] of Object.entries(images)) {
    const { digest } = await readArchive(archivePath);
    await spawnChecked(process.execPath, [MAIN, "copy", `oci-archive:${archivePath}`, `${repository}@${digest}`]);
    const client = new RegistryClient({ registries: [{ host, plainHttp: true }] });
    const name = repository.slice(host.length + 1);
    const { bytes } = await client.manifest(host, name, digest).finally(() => client.close());
    const platform = { architecture, os: "linux" };
    manifests.push({ mediaType: OCI_MANIFEST, digest, size: bytes.length, platform });
  }
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
  const client = new RegistryClient({ registries: [{ host, plainHttp: true }] });
  const name = repository.slice(host.length + 1);
  await client.pushManifest(host, name, "1", { bytes, mediaType: OCI_INDEX }).finally(() => client.close());
  return reference;
}

/** All that a release is made of: what .dockerignore lets through, the scripts, and the base images. */
async function contentKey(bases: BaseImages): Promise<string> {
  const hash = createHash("sha256");
  const ignore = await readFile(join(CHECKOUT, ".dockerignore"), "utf8");
  const names = [...ignore.matchAll(/^!(.+)$/gm)].map(([, name = ""]) => name);
  for (const name of [...names, "Dockerfile", "release", "test/environment/images/release.ts"])
    await hashTree(hash, join(CHECKOUT, name));
  for (const images of Object.values(bases) as PlatformImages[])
    for (const { archivePath } of Object.values(images)) hash.update(archivePath);
  return hash.digest("hex").slice(0, 16);
}

async function hashTree(hash: Hash, path: string): Promise<void> {
  hash.update(path.slice(CHECKOUT.length));
  if (!(await stat(path)).isDirectory()) hash.update(await readFile(path));
  else for (const name of (await readdir(path)).sort()) await hashTree(hash, join(path, name));
}

/** A release that nobody asks for any more is of the size of Node, twice. */
async function removeOlder(latest: string): Promise<void> {
  const folder = join(latest, "..");
  const now = Date.now();
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    if (/^release-[0-9a-f]{16}$/.test(name) && now - (await stat(path)).mtimeMs > 60 * 60_000)
      await rm(path, { recursive: true, force: true });
  }
}

/** The release's image for this machine as an archive that a node can import, by the given reference. */
export async function releaseArchive({ folder, images }: TestRelease, reference: string): Promise<BuiltImage> {
  const { digest } = images["amd64"] ?? {};
  if (digest === undefined) throw new Error("the release has no image for amd64");
  const archivePath = join(folder, `amd64-${reference.replaceAll(/[^a-z0-9]+/g, "-")}.tar`);
  if (existsSync(archivePath)) return { reference, archivePath };
  const layout = await LayoutFolder.open(join(folder, "oci"));
  const { manifest, bytes } = await layout.manifest(digest);
  if (manifest.kind !== "image") throw new Error("an index instead of an image");
  const staging = await stagingPath(archivePath);
  const tar = pack();
  const written = pipeline(tar, createWriteStream(staging));
  const put = (name: string, content: Uint8Array) => addEntry(tar, { name, mode: 0o644 }, { bytes: content });
  await put("oci-layout", LAYOUT_MARK);
  const annotations = { "io.containerd.image.name": reference };
  const entry = { mediaType: OCI_MANIFEST, digest, size: bytes.length, annotations };
  await put("index.json", Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [entry] })));
  for (const name of [digest, manifest.config.digest, ...manifest.layers.map(layer => layer.digest)]) {
    const path = `blobs/${name.replace(":", "/")}`;
    await addEntry(tar, { name: path, mode: 0o644 }, { path: join(folder, "oci", path) });
  }
  tar.finalize();
  await written;
  await rename(staging, archivePath);
  return { reference, archivePath };
}
