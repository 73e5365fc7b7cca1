import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { extract } from "tar-stream";
import { readArchive, writeArchive } from "./archive.ts";
import { parseLibraries } from "./binary.ts";
import type { ImageEntry } from "./layer.ts";

interface Found {
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly date: number;
  readonly linkname: string;
  readonly content: Buffer;
}

async function untar(tar: Uint8Array): Promise<Map<string, Found>> {
  const found = new Map<string, Found>();
  const reader = extract();
  reader.end(Buffer.from(tar));
  for await (const entry of reader) {
    const { name, type, mode, uid, linkname, mtime } = entry.header;
    const content = await buffer(entry);
    found.set(name, {
      type: type ?? "",
      mode: mode ?? 0,
      uid: uid ?? -1,
      date: mtime?.getTime() ?? -1,
      linkname: linkname ?? "",
      content,
    });
  }
  return found;
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

describe("an image archive", () => {
  let folder: string;
  let entries: readonly ImageEntry[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-archive-"));
    await writeFile(join(folder, "program"), "a program", { mode: 0o600 });
    entries = [
      { kind: "symlink", path: "/usr/bin/alias", target: "program" },
      { kind: "file", path: "/usr/bin/program", mode: 0o755, source: { path: join(folder, "program") } },
      { kind: "folder", path: "/tmp", mode: 0o1777 },
      { kind: "file", path: "/etc/passwd", mode: 0o644, source: { bytes: Buffer.from("root") } },
    ];
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  const image = (of: readonly ImageEntry[]) => ({
    reference: "docker.io/local/app:1",
    entries: of,
    entrypoint: ["/usr/bin/program"],
    user: "101:101",
    env: ["A=b"],
  });

  async function written(of: readonly ImageEntry[] = entries): Promise<Map<string, Found>> {
    const path = join(folder, "image.tar");
    await writeArchive(image(of), path);
    return untar(await readFile(path));
  }

  it("holds an index, a manifest, a configuration and a layer that name each other by digest and size", async () => {
    const files = await written();
    const document = (name: string) => JSON.parse(files.get(name)?.content.toString() ?? "null");
    const blob = (digest: string) => `blobs/${digest.replace(":", "/")}`;
    for (const [name, { content }] of files) {
      if (name.startsWith("blobs/sha256/")) assert.equal(name, `blobs/sha256/${sha256(content)}`);
    }
    assert.deepEqual(document("oci-layout"), { imageLayoutVersion: "1.0.0" });
    const [main] = document("index.json").manifests;
    const manifest = document(blob(main.digest));
    const config = document(blob(manifest.config.digest));
    assert.equal(main.annotations["io.containerd.image.name"], "docker.io/local/app:1");
    assert.equal(main.size, files.get(blob(main.digest))?.content.length);
    assert.equal(manifest.layers[0].size, files.get(blob(manifest.layers[0].digest))?.content.length);
    assert.deepEqual(config.rootfs.diff_ids, [manifest.layers[0].digest]);
    assert.deepEqual([config.config.Entrypoint, config.config.User], [["/usr/bin/program"], "101:101"]);
  });

  it("has in its layer what was given, owned by root, with the folders on the way", async () => {
    const files = await written();
    const [layer] = [...files.values()].toSorted((left, right) => right.content.length - left.content.length);
    const inside = await untar(layer?.content ?? Buffer.alloc(0));
    assert.deepEqual([...inside.keys()], [...inside.keys()].toSorted());
    const summary = [...inside].map(([name, { type, mode, uid }]) => [name.replace(/\/$/, ""), type, mode, uid]);
    assert.deepEqual(summary, [
      ["etc", "directory", 0o755, 0],
      ["etc/passwd", "file", 0o644, 0],
      ["tmp", "directory", 0o1777, 0],
      ["usr", "directory", 0o755, 0],
      ["usr/bin", "directory", 0o755, 0],
      ["usr/bin/alias", "symlink", 0o777, 0],
      ["usr/bin/program", "file", 0o755, 0],
    ]);
    for (const [name, { date }] of inside) assert.equal(date, 0, name);
    assert.equal(inside.get("usr/bin/alias")?.linkname, "program");
    assert.equal(inside.get("usr/bin/program")?.content.toString(), "a program");
  });

  it("is the same bytes for the same entries in another order, and other bytes for other content", async () => {
    const write = async (name: string, of: readonly ImageEntry[]) => {
      await writeArchive(image(of), join(folder, name));
      return sha256(await readFile(join(folder, name)));
    };
    const first = await write("first.tar", entries);
    assert.equal(await write("second.tar", entries.toReversed()), first);
    await writeFile(join(folder, "program"), "b program");
    assert.notEqual(await write("third.tar", entries), first);
  });

  it("can be asked for its image's name and digest", async () => {
    const path = join(folder, "image.tar");
    const { digest } = await writeArchive(image(entries), path);
    assert.deepEqual(await readArchive(path), { reference: "docker.io/local/app:1", digest });
  });

  it("is not there, nor any part of it, when its content can't be read", async () => {
    const gone: ImageEntry = { kind: "file", path: "/gone", mode: 0o644, source: { path: join(folder, "gone") } };
    await assert.rejects(writeArchive(image([...entries, gone]), join(folder, "image.tar")), /ENOENT/);
    assert.deepEqual(await readdir(folder), ["program"]);
  });
});

describe("the libraries of a binary", () => {
  const output = [
    "\tlinux-vdso.so.1 (0x00007f8b40f7e000)",
    "\tlibdl.so.2 => /lib/x86_64-linux-gnu/libdl.so.2 (0x00007f8b40f68000)",
    "\t/lib64/ld-linux-x86-64.so.2 (0x00007f8b40f80000)",
  ].join("\n");

  it("are the paths that ldd prints, with the loader, without the kernel's own", () => {
    assert.deepEqual(parseLibraries(output, "node"), [
      "/lib/x86_64-linux-gnu/libdl.so.2",
      "/lib64/ld-linux-x86-64.so.2",
    ]);
  });

  it("must all be there", () => {
    assert.throws(() => parseLibraries("\tlibicu.so.72 => not found", "node"), /node needs libicu.so.72/);
  });
});
