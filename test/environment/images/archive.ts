import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { arch } from "node:os";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { extract, pack } from "tar-stream";
import { stagingPath } from "../cluster/staging.ts";
import { addEntry, type ImageEntry, writeLayer } from "./layer.ts";

/** What an image is made of. */
export interface ImageDescription {
  /** Full reference with registry and tag, as in `docker.io/local/envoy:1.40.0`. */
  readonly reference: string;
  readonly entries: readonly ImageEntry[];
  readonly entrypoint: readonly string[];
  /** Arguments of the entrypoint where a pod gives none. */
  readonly defaultArgs?: readonly string[];
  /** Numeric `uid` or `uid:gid`, so that Kubernetes can tell it from root. */
  readonly user: string;
  readonly env: readonly string[];
  /** As OCI names it; default: this machine's. */
  readonly architecture?: string;
}

/** The one image of an archive. */
export interface ArchivedImage {
  readonly reference: string;
  /** The manifest's digest. */
  readonly digest: string;
}

const manifestType = "application/vnd.oci.image.manifest.v1+json";
const configType = "application/vnd.oci.image.config.v1+json";
const layerType = "application/vnd.oci.image.layer.v1.tar";

/** The annotation by which containerd names an imported image. */
const nameAnnotation = "io.containerd.image.name";

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Writes an image of one layer as an OCI archive (image-spec: image-layout, in a tar). Deterministic. Complete or
 * not there: written beside its place and renamed into it.
 */
export async function writeArchive(image: ImageDescription, output: string): Promise<ArchivedImage> {
  const staging = await stagingPath(output);
  const layerFile = `${staging}.layer`;
  try {
    const layer = await writeLayer(image.entries, layerFile);
    const config = json(imageConfiguration(image, layer.digest));
    const manifest = json({
      schemaVersion: 2,
      mediaType: manifestType,
      config: descriptor(configType, config),
      layers: [{ mediaType: layerType, ...layer }],
    });
    const main: Descriptor = {
      ...descriptor(manifestType, manifest),
      annotations: { [nameAnnotation]: image.reference },
    };
    const tar = pack();
    const written = pipeline(tar, createWriteStream(staging));
    const put = (name: string, bytes: Uint8Array) => addEntry(tar, { name, mode: 0o644 }, { bytes });
    const filled = (async () => {
      await put("oci-layout", json({ imageLayoutVersion: "1.0.0" }));
      await put("index.json", json({ schemaVersion: 2, manifests: [main] }));
      await put(blobName(digestOf(config)), config);
      await put(blobName(main.digest), manifest);
      await addEntry(tar, { name: blobName(layer.digest), mode: 0o644 }, { path: layerFile });
      tar.finalize();
    })().catch(error => {
      tar.destroy(error);
      throw error;
    });
    await Promise.all([filled, written]);
    await rename(staging, output);
    return { reference: image.reference, digest: main.digest };
  } finally {
    await rm(layerFile, { force: true });
    await rm(staging, { force: true });
  }
}

/**
 * The image that an archive holds.
 * @throws Error where its index names none, or more than one.
 */
export async function readArchive(path: string): Promise<ArchivedImage> {
  const reader = extract();
  const source = createReadStream(path);
  source.on("error", error => reader.destroy(error));
  source.pipe(reader);
  for await (const entry of reader) {
    if (entry.header.name !== "index.json") {
      entry.resume();
      continue;
    }
    const index = JSON.parse(await text(entry)) as { manifests?: readonly Descriptor[] };
    source.destroy();
    const [main, ...more] = index.manifests ?? [];
    const reference = main?.annotations?.[nameAnnotation];
    if (!main || !reference || more.length > 0) break;
    return { reference, digest: main.digest };
  }
  throw new Error(`${path} is no archive of one image named by ${nameAnnotation}`);
}

function imageConfiguration(image: ImageDescription, diffId: string): object {
  return {
    architecture: image.architecture ?? (arch() === "x64" ? "amd64" : arch()),
    os: "linux",
    config: {
      Entrypoint: image.entrypoint,
      ...(image.defaultArgs && { Cmd: image.defaultArgs }),
      User: image.user,
      Env: image.env,
      WorkingDir: "/",
    },
    rootfs: { type: "layers", diff_ids: [diffId] },
  };
}

function descriptor(mediaType: string, bytes: Uint8Array): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function blobName(digest: string): string {
  return `blobs/${digest.replace(":", "/")}`;
}

function json(value: object): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
