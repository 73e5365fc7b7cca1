import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { buffer } from "node:stream/consumers";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { pack } from "tar-stream";
import { readArchive } from "../../src/oci/archive.ts";
import { RegistryError } from "../../src/oci/error.ts";
import { MODULE } from "./images.ts";
import { MemorySink } from "./memory.ts";
import { coded } from "./scripted-server.ts";

const MIB = 1024 * 1024;
const LIMITS = { moduleBytes: 2 * MIB, configBytes: 1024, unpackRatio: 20 };

type Kind = "file" | "symlink" | "link" | "directory" | "fifo" | "contiguous-file";
type Entry = readonly [name: string, content: Buffer | string, type?: Kind];

async function tarOf(...entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack();
  for (const [name, content, type = "file"] of entries) {
    if (type === "file" || type === "contiguous-file") archive.entry({ name, type }, Buffer.from(content));
    else archive.entry({ name, type, linkname: String(content) });
  }
  archive.finalize();
  return buffer(archive);
}

async function* inPieces(bytes: Buffer, size = 512): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(gzip: Buffer, limits = LIMITS): Promise<{ module: Buffer; config: string | null }> {
  const sink = new MemorySink();
  const config = await readArchive(inPieces(gzip), "gzip", limits, sink);
  return { module: sink.bytes, config: config?.toString() ?? null };
}

const readTar = async (...entries: readonly Entry[]) => read(gzipSync(await tarOf(...entries)));

describe("readArchive", () => {
  for (const name of ["plugin.wasm", "./plugin.wasm", "/plugin.wasm", "a/b/plugin.wasm", "../../plugin.wasm"]) {
    it(`finds ${name}`, async () => {
      assert.deepEqual(await readTar([name, MODULE]), { module: MODULE, config: null });
    });
  }

  it("finds the runtime config before and after the module, among other files", async () => {
    const config: Entry = ["runtime-config.json", "{}"];
    const module: Entry = ["plugin.wasm", MODULE];
    const other: Entry = ["other.wasm", randomBytes(5000)];
    const expected = { module: MODULE, config: "{}" };
    assert.deepEqual(await readTar(config, other, module), expected);
    assert.deepEqual(await readTar(["a/", "", "directory"], module, other, config), expected);
  });

  it("streams a module of many pieces", async () => {
    const bytes = randomBytes(MIB + 17);
    assert.ok((await readTar(["plugin.wasm", bytes])).module.equals(bytes));
  });

  const refused: readonly (readonly [what: string, entries: readonly Entry[], code: string])[] = [
    ["no plugin.wasm", [["plugin.wasm.bak", MODULE]], "BadArchive"],
    ["no entries", [], "BadArchive"],
    [
      "two modules",
      [
        ["plugin.wasm", MODULE],
        ["x/plugin.wasm", MODULE],
      ],
      "BadArchive",
    ],
    [
      "two configs",
      [
        ["runtime-config.json", "{}"],
        ["x/runtime-config.json", "{}"],
        ["plugin.wasm", MODULE],
      ],
      "BadArchive",
    ],
    ["a module that is a symbolic link", [["plugin.wasm", "/etc/passwd", "symlink"]], "BadArchive"],
    ["a module that is a hard link", [["plugin.wasm", "other", "link"]], "BadArchive"],
    ["a module that is a folder", [["plugin.wasm/", "", "directory"]], "BadArchive"],
    ["a module that is a pipe", [["plugin.wasm", "", "fifo"]], "BadArchive"],
    [
      "a config that is a link",
      [
        ["runtime-config.json", "x", "symlink"],
        ["plugin.wasm", MODULE],
      ],
      "BadArchive",
    ],
    [
      "a config larger than allowed",
      [
        ["runtime-config.json", "x".repeat(1025)],
        ["plugin.wasm", MODULE],
      ],
      "TooLarge",
    ],
    ["a module larger than allowed", [["plugin.wasm", randomBytes(2 * MIB + 1)]], "TooLarge"],
  ];
  for (const [what, entries, code] of refused) {
    it(`refuses ${what}`, () => assert.rejects(readTar(...entries), coded(code)));
  }

  it("refuses a module larger than allowed before it passes on a byte", async () => {
    const tar = await tarOf(["plugin.wasm", randomBytes(2 * MIB + 1)]);
    const sink = new MemorySink();
    await assert.rejects(readArchive(inPieces(gzipSync(tar)), "gzip", LIMITS, sink), coded("TooLarge"));
    assert.equal(sink.bytes.length, 0);
  });

  it("refuses more entries than any image needs", async () => {
    const many = Array.from({ length: 1024 }, (_, number): Entry => [`f${number}`, ""]);
    await assert.rejects(readTar(...many, ["plugin.wasm", MODULE]), coded("BadArchive", /more than 1024 entries/));
  });

  it("stops a bomb at its ratio, long before its end", async () => {
    const part = gzipSync(await tarOf(["zeros", Buffer.alloc(4 * MIB)]));
    const bomb = Buffer.concat(Array.from({ length: 256 }, () => part));
    let passed = 0;
    const source = async function* () {
      for await (const piece of inPieces(bomb, 1024)) {
        passed += piece.length;
        yield piece;
      }
    };
    await assert.rejects(
      readArchive(source(), "gzip", { ...LIMITS, moduleBytes: 1024 * MIB }, new MemorySink()),
      coded("BadArchive", /20 times/),
    );
    assert.ok(passed < bomb.length / 4, `${passed} of ${bomb.length}`);
  });

  it("stops an archive that is large by other files", async () => {
    const tar = await tarOf(["plugin.wasm", MODULE], ["other", randomBytes(4 * MIB)]);
    await assert.rejects(read(gzipSync(tar)), coded("TooLarge", /unpacks/));
  });

  it("allocates nothing for a size that a header only claims", async () => {
    const tar = await tarOf(["plugin.wasm", MODULE]);
    // 8 GiB less one byte, in octal, and the header's checksum anew.
    tar.write("77777777777\0", 124, "latin1");
    tar.fill(" ", 148, 156);
    const sum = tar.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    tar.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    await assert.rejects(read(gzipSync(tar)), coded("TooLarge", /8589934591/));
  });

  const damaged: readonly (readonly [what: string, damage: (gzip: Buffer, tar: Buffer) => Buffer])[] = [
    ["no gzip", (_gzip, tar) => tar],
    ["nothing", () => Buffer.alloc(0)],
    ["a gzip that breaks off", gzip => gzip.subarray(0, gzip.length - 12)],
    ["a tar that breaks off", (_gzip, tar) => gzipSync(tar.subarray(0, 700))],
    ["a tar header that is none", () => gzipSync(randomBytes(2048))],
    ["a wrong checksum of the gzip", gzip => Buffer.concat([gzip.subarray(0, -8), Buffer.alloc(4), gzip.subarray(-4)])],
  ];
  for (const [what, damage] of damaged) {
    it(`refuses ${what}`, async () => {
      const tar = await tarOf(["plugin.wasm", randomBytes(3000)]);
      await assert.rejects(read(damage(gzipSync(tar), tar)), coded("BadArchive"));
    });
  }

  for (const compression of ["gzip", "zstd"] as const) {
    const compress = compression === "gzip" ? gzipSync : zstdCompressSync;

    it(`refuses whatever stands behind the end of the ${compression}, in the same chunk or in later ones`, async () => {
      const layer = compress(await tarOf(["plugin.wasm", MODULE]));
      for (const tail of [
        Buffer.from("t"),
        Buffer.from("tail"),
        Buffer.alloc(8),
        Buffer.alloc(90_000),
        layer.subarray(0, 3),
      ]) {
        for (const size of [97, layer.length, 64 * 1024]) {
          const pieces = inPieces(Buffer.concat([layer, tail]), size);
          await assert.rejects(readArchive(pieces, compression, LIMITS, new MemorySink()), coded("BadArchive"));
        }
      }
    });

    it(`reads every part of a ${compression} that has many, however they are cut`, async () => {
      const module = Buffer.concat([MODULE, randomBytes(100_000)]);
      const tar = await tarOf(["plugin.wasm", module]);
      const layer = Buffer.concat(
        [tar.subarray(0, 700), tar.subarray(700, 50_000), tar.subarray(50_000)].map(part => compress(part)),
      );
      for (const size of [77, 1000, layer.length]) {
        const sink = new MemorySink();
        await readArchive(inPieces(layer, size), compression, LIMITS, sink);
        assert.ok(sink.bytes.equals(module), `${size}`);
      }
    });

    it(`reads the source of a ${compression} to its end`, async () => {
      let ended = false;
      const source = async function* () {
        yield* inPieces(compress(await tarOf(["plugin.wasm", MODULE])));
        ended = true;
      };
      await readArchive(source(), compression, LIMITS, new MemorySink());
      assert.ok(ended);
    });
  }

  it("fails as its source fails", async () => {
    for (const failure of [new RegistryError("DigestMismatch", "no"), new Error("disk full")]) {
      for (const [compression, compress] of [
        ["gzip", gzipSync],
        ["zstd", zstdCompressSync],
      ] as const) {
        const source = async function* () {
          yield compress(await tarOf(["plugin.wasm", MODULE]));
          throw failure;
        };
        await assert.rejects(readArchive(source(), compression, LIMITS, new MemorySink()), failure);
      }
    }
  });

  it("fails as its sink fails, and asks its source for no more", async () => {
    const tar = await tarOf(["plugin.wasm", randomBytes(MIB)]);
    const sink = { write: () => Promise.reject(new Error("disk full")) };
    let passed = 0;
    const gzip = gzipSync(tar);
    const source = async function* () {
      for await (const piece of inPieces(gzip, 4096)) {
        passed += piece.length;
        yield piece;
      }
    };
    await assert.rejects(readArchive(source(), "gzip", LIMITS, sink), { message: "disk full" });
    assert.ok(passed < gzip.length);
  });
});
