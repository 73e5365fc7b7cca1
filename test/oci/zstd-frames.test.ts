import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { constants, zstdCompressSync } from "node:zlib";
import { zstdFrames } from "../../src/oci/zstd-frames.ts";
import { coded } from "./scripted-server.ts";

async function cut(bytes: Buffer, size = 1000): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  for await (const chunk of zstdFrames(pieces())) chunks.push(Buffer.from(chunk));
  return chunks;
}

const compress = (bytes: Buffer, params: Readonly<Record<number, number>> = {}) => zstdCompressSync(bytes, { params });
const skippable = (content: Buffer, magic = 0x50) => {
  const head = Buffer.from([magic, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]);
  head.writeUInt32LE(content.length, 4);
  return Buffer.concat([head, content]);
};
/** A frame's start with this descriptor. */
const frame = (...bytes: readonly number[]) => Buffer.from([0x28, 0xb5, 0x2f, 0xfd, ...bytes]);

/** Where each chunk ends, counted from the first one's start. */
function sums(chunks: readonly Buffer[]): number[] {
  return chunks.map((_, index) => Buffer.concat(chunks.slice(0, index + 1)).length);
}

describe("zstdFrames", () => {
  it("ends a chunk where a frame ends, whatever its form", async () => {
    const contents = [Buffer.alloc(0), Buffer.from("a"), Buffer.alloc(70_000, 7), randomBytes(200_000)];
    const frames = [
      ...contents.map(content => compress(content)),
      ...contents.map(content => compress(content, { [constants.ZSTD_c_contentSizeFlag]: 0 })),
      ...contents.map(content => compress(content, { [constants.ZSTD_c_checksumFlag]: 1 })),
    ];
    const bytes = Buffer.concat(frames);
    for (const size of [777, bytes.length]) {
      const chunks = await cut(bytes, size);
      assert.ok(Buffer.concat(chunks).equals(bytes));
      const ends = new Set(sums(chunks));
      for (const end of sums(frames)) assert.ok(ends.has(end), `${end} in pieces of ${size}`);
    }
  });

  it("leaves out what decoders skip", async () => {
    const data = compress(Buffer.from("data"));
    const bytes = Buffer.concat([skippable(Buffer.alloc(0)), data, skippable(randomBytes(5000), 0x5f)]);
    assert.ok(Buffer.concat(await cut(bytes)).equals(data));
  });

  const refused: readonly (readonly [what: string, bytes: Buffer, message: RegExp])[] = [
    ["no zstd", Buffer.from("\x1f\x8b\x08\0", "latin1"), /begin no Zstandard frame/],
    ["an old version's frame", Buffer.from([0x27, 0xb5, 0x2f, 0xfd]), /begin no Zstandard frame/],
    ["half a magic", Buffer.from([0x28, 0xb5]), /breaks off/],
    ["a window over 8 MiB", frame(0x00, (13 << 3) | 1), /a window of 9437184 bytes, 8388608 are allowed/],
    ["the largest window", frame(0x00, 0xff), /a window of \d{13} bytes/],
    ["one segment over 8 MiB", frame(0xa0, 1, 0, 0x80, 0), /a window of 8388609 bytes/],
    ["one segment over all bounds", frame(0xe0, ...Array(8).fill(0xff)), /a window of/],
    ["a dictionary", frame(0x01, 0x00, 7), /dictionary/],
    ["a reserved bit", frame(0x08, 0x00), /reserved bit/],
    ["a reserved block", frame(0x00, 0x00, 0x07, 0, 0), /reserved kind/],
    ["a frame cut in its header", frame(0x00), /breaks off/],
    ["a frame cut before its block", frame(0x00, 0x00), /breaks off/],
    ["a frame cut inside of its block", compress(randomBytes(100)).subarray(0, 50), /breaks off/],
    ["a skippable frame cut", skippable(Buffer.alloc(9)).subarray(0, 12), /breaks off/],
    ["a skippable frame without size", skippable(Buffer.alloc(9)).subarray(0, 6), /breaks off/],
    ["too many frames", Buffer.concat(Array(16_385).fill(skippable(Buffer.alloc(0)))), /more than 16384 frames/],
  ];
  for (const [what, bytes, message] of refused) {
    it(`refuses ${what}`, async () => {
      for (const size of [bytes.length > 1000 ? 1000 : 1, 100_000])
        await assert.rejects(cut(bytes, size), coded("BadArchive", message));
    });
  }
});
