import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import type { Platform } from "../../release/platform.ts";
import type { Descriptor } from "../../src/oci/descriptor.ts";
import { OCI_CONFIG, OCI_LAYER, OCI_LAYER_GZIP, OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { blobOf } from "../../src/oci/push.ts";
import { LayoutFolder } from "../../src/store/layout-folder.ts";

/** Files by path: their content, and more of the header where it matters. */
export type Files = Readonly<Record<string, string | Buffer | { readonly content: string; readonly mode: number }>>;

/** What is enough of a Node to be recognised as one: the start of an ELF file, and where its headers come from. */
export function programFor({ machine }: Pick<Platform, "machine">, version = "24.21.0"): Buffer {
  const header = Buffer.alloc(64);
  header.write("\x7fELF", "latin1");
  header.writeUInt16LE(machine, 18);
  return Buffer.concat([header, Buffer.from(`https://nodejs.org/download/release/v${version}/node.tar.gz`)]);
}

/** Writes an image as a builder would leave it. */
export async function writeLayout(
  path: string,
  architecture: string,
  layers: readonly Files[],
  { gzip = false }: { readonly gzip?: boolean } = {},
): Promise<void> {
  const folder = await LayoutFolder.create(path);
  const put = async (bytes: Buffer, mediaType: string): Promise<Descriptor> => {
    const blob = blobOf(bytes);
    await folder.putBlob(blob);
    return { mediaType, digest: blob.digest, size: blob.size };
  };
  const tars = await Promise.all(layers.map(tarOf));
  const described = [];
  for (const tar of tars) described.push(await put(gzip ? gzipSync(tar) : tar, gzip ? OCI_LAYER_GZIP : OCI_LAYER));
  const config = {
    architecture,
    os: "linux",
    config: {
      User: "65532:65532",
      Entrypoint: ["node"],
      Labels: { "io.buildah.version": "1.28.2", title: "wasmount" },
    },
    rootfs: { type: "layers", diff_ids: tars.map(tar => blobOf(tar).digest) },
    history: [{ created_by: "RUN something with a secret" }],
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: await put(Buffer.from(JSON.stringify(config)), OCI_CONFIG),
    layers: described,
  };
  await folder.setEntry(await put(Buffer.from(JSON.stringify(manifest)), OCI_MANIFEST), null);
}

export async function tarOf(files: Files): Promise<Buffer> {
  const tar = pack();
  for (const [name, given] of Object.entries(files)) {
    const { content, mode } =
      typeof given === "string" || Buffer.isBuffer(given) ? { content: given, mode: 0o640 } : given;
    tar.entry({ name, mode, uid: 1000, gid: 1000, mtime: new Date(1_600_000_000_000) }, content);
  }
  tar.finalize();
  return buffer(tar);
}
