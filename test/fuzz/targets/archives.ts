import assert from "node:assert/strict";
import { gunzipSync, gzipSync, zstdCompressSync } from "node:zlib";
import { readArchive } from "../../../src/oci/archive.ts";
import type { Compression } from "../../../src/oci/decompression.ts";
import { RegistryError } from "../../../src/oci/error.ts";
import { readTar } from "../../../src/oci/tar.ts";
import { MemorySink } from "../../oci/memory.ts";
import { paxRecords, rawTar } from "../../oci/tars.ts";
import { wholeFilter } from "../../wasm/whole-filter.ts";
import { type FuzzTarget, readOrRefused, streamed } from "../target.ts";

const BLOCK = 512;
const LIMITS = { moduleBytes: 512 * 1024, configBytes: 4096, unpackRatio: 20 };
const content = Buffer.from(wholeFilter);
const gnu = { magic: "ustar  \0" };

const tars = [
  rawTar({ content }, { name: "runtime-config.json", content: "{}" }),
  rawTar(
    { name: "a/", type: "5" },
    { name: "PaxHeaders/x", type: "x", content: paxRecords({ path: "a/plugin.wasm", size: String(content.length) }) },
    { name: "x", content },
  ),
  rawTar(
    { name: "g", type: "g", content: paxRecords({ comment: "c" }) },
    { prefix: "a/b", content },
    { name: "l", type: "2" },
  ),
  rawTar(
    { ...gnu, type: "L", content: `${"d/".repeat(90)}plugin.wasm\0` },
    { ...gnu, content },
    { ...gnu, name: "h", type: "1" },
  ),
];
const TOKENS = [
  "\0".repeat(BLOCK),
  "ustar\x0000",
  "ustar  \0",
  "77777777777",
  "\x80\0\0\0\0\0\0\0",
  "\xff".repeat(12),
  "GNU.sparse.major=1\n",
  "9 size=1\n",
  "path=",
  "plugin.wasm",
];

async function readWhole(tar: Buffer): Promise<void> {
  await readOrRefused(RegistryError, async () => {
    let total = 0;
    await readTar(streamed(tar), ({ size }) => {
      let left = size;
      return async chunk => {
        left -= chunk.length;
        total += chunk.length;
        assert.ok(left >= 0);
      };
    });
    assert.ok(total <= tar.length);
  });
}

/** The tar with the checksum right in every block that looks like a header, so that changes get past it. */
function withChecksums(tar: Buffer): Buffer {
  const fixed = Buffer.from(tar);
  for (let start = 0; start + BLOCK <= fixed.length; start += BLOCK) {
    const block = fixed.subarray(start, start + BLOCK);
    if (block.toString("latin1", 257, 262) !== "ustar") continue;
    block.fill(" ", 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  }
  return fixed;
}

/** What comes out never passes the limits, and what gzip's own reader refuses is refused here. */
async function readLayer(layer: Buffer, compression: Compression): Promise<void> {
  const sink = new MemorySink();
  const read = await readOrRefused(RegistryError, async () => {
    const config = await readArchive(streamed(layer), compression, LIMITS, sink);
    assert.ok(config === null || config.length <= LIMITS.configBytes);
  });
  assert.ok(sink.bytes.length <= LIMITS.moduleBytes);
  if (read && compression === "gzip") assert.ok(gunzipSync(layer).includes(sink.bytes));
}

export const tarFiles: FuzzTarget = {
  name: "tar",
  seeds: tars,
  tokens: TOKENS,
  run: async input => {
    await readWhole(input);
    await readWhole(withChecksums(input));
  },
};

export const tarLayers: FuzzTarget = {
  name: "tar-layers",
  seeds: tars,
  tokens: TOKENS,
  run: input => readLayer(gzipSync(withChecksums(input), { level: 1 }), "gzip"),
};

export const gzipLayers: FuzzTarget = {
  name: "gzip",
  seeds: [
    ...tars.map(tar => gzipSync(tar)),
    ...tars.map(tar => gzipSync(tar, { level: 0 })),
    Buffer.concat([gzipSync(tars[0]?.subarray(0, 700) ?? ""), gzipSync(tars[0]?.subarray(700) ?? "")]),
    gzipSync(Buffer.concat([...tars, Buffer.alloc(60_000)])),
  ],
  tokens: ["\x1f\x8b\x08\0\0\0\0\0\0\x03", "\x1f\x8b", "\x03\0\0\0\0\0\0\0\0\0", "\0".repeat(40)],
  run: input => readLayer(input, "gzip"),
};

export const zstdLayers: FuzzTarget = {
  name: "zstd",
  seeds: [
    ...tars.map(tar => zstdCompressSync(tar)),
    Buffer.concat([zstdCompressSync(tars[0]?.subarray(0, 700) ?? ""), zstdCompressSync(tars[0]?.subarray(700) ?? "")]),
    Buffer.concat([Buffer.from([0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2]), zstdCompressSync(tars[1] ?? "")]),
    zstdCompressSync(Buffer.concat([...tars, Buffer.alloc(60_000)])),
  ],
  tokens: ["\x28\xb5\x2f\xfd", "\x28\xb5\x2f\xfd\x20\0\x01\0\0", "\x50\x2a\x4d\x18\0\0\0\0", "\xff\xff\xff"],
  run: input => readLayer(input, "zstd"),
};
