import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteReader } from "../../src/wasm/byte-reader.ts";
import { bytesSource, type ModuleSource } from "../../src/wasm/module-source.ts";
import { leb } from "./encoder.ts";

function readerOf(bytes: readonly number[], source: ModuleSource = bytesSource(Uint8Array.from(bytes))): ByteReader {
  return new ByteReader(source, { start: 0, end: bytes.length, name: "the test", overrun: "Malformed" });
}

const malformed = { name: "WasmError", code: "Malformed" };

describe("byte reader", () => {
  it("reads back every unsigned number, minimal or padded", () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.integer({ min: 1, max: 5 }), (value, width) => {
        const reader = readerOf(leb(value, width));
        assert.equal(reader.u32("n"), value);
        assert.equal(reader.remaining, 0);
      }),
    );
  });

  it("reads 64-bit numbers to the last bit and no further", () => {
    assert.equal(readerOf([...new Array<number>(9).fill(0xff), 1]).u64("n"), 2n ** 64n - 1n);
    assert.throws(() => readerOf([...new Array<number>(9).fill(0xff), 2]).u64("n"), malformed);
    assert.throws(() => readerOf(new Array<number>(11).fill(0x80)).u64("n"), malformed);
  });

  it("refuses 32-bit numbers with a sixth byte or a bit beyond 32", () => {
    assert.equal(readerOf([0xff, 0xff, 0xff, 0xff, 0x0f]).u32("n"), 2 ** 32 - 1);
    assert.throws(() => readerOf([0xff, 0xff, 0xff, 0xff, 0x1f]).u32("n"), malformed);
    assert.throws(() => readerOf([0x80, 0x80, 0x80, 0x80, 0x80, 0]).u32("n"), malformed);
  });

  it("passes signed numbers whose unused bits repeat the sign, and no others", () => {
    for (const good of [[0x7f], [0x80, 0x80, 0x80, 0x80, 0x78], [0xff, 0xff, 0xff, 0xff, 0x07]])
      assert.doesNotThrow(() => readerOf(good).skipSigned("n", 32));
    for (const bad of [
      [0x80, 0x80, 0x80, 0x80, 0x08],
      [0xff, 0xff, 0xff, 0xff, 0x77],
      [0x80, 0x80, 0x80, 0x80, 0xf8, 0],
    ])
      assert.throws(() => readerOf(bad).skipSigned("n", 32), malformed);
    const nine = new Array<number>(9).fill(0x80);
    assert.doesNotThrow(() => readerOf([...nine, 0x7f]).skipSigned("n", 64));
    assert.throws(() => readerOf([...nine, 0x01]).skipSigned("n", 64), malformed);
  });

  it("reads names as UTF-8 only, keeping a byte order mark", () => {
    assert.equal(readerOf([4, 0xf0, 0x9f, 0x98, 0x80]).name("name"), "😀");
    assert.equal(readerOf([4, 0xef, 0xbb, 0xbf, 0x61]).name("name"), "\ufeffa");
    for (const bad of [
      [1, 0x80],
      [2, 0xc0, 0x80],
      [3, 0xed, 0xa0, 0x80],
      [4, 0xf4, 0x90, 0x80, 0x80],
    ])
      assert.throws(() => readerOf(bad).name("name"), malformed);
  });

  it("keeps a part within its bounds and goes on after it", () => {
    const reader = readerOf([1, 2, 3, 4]);
    const part = reader.part(2, "the part");
    assert.equal(part.byte("b"), 1);
    assert.equal(part.byte("b"), 2);
    assert.throws(() => part.byte("b"), {
      code: "Malformed",
      message: /needs 1 byte, but 0 bytes are left in the part/,
    });
    assert.equal(reader.byte("b"), 3);
    assert.throws(() => reader.end(), { code: "Malformed", message: /1 bytes more/ });
  });

  it("reads across its windows", () => {
    const bytes = Array.from({ length: 300_000 }, (_, index) => index % 251);
    const reader = readerOf(bytes);
    for (const byte of bytes) assert.equal(reader.byte("b"), byte);
  });

  it("takes a source that ends before its size for a truncated one", () => {
    const shrinking: ModuleSource = { size: 100, read: () => new Uint8Array(0) };
    const bytes = new Array<number>(100).fill(0);
    assert.throws(() => readerOf(bytes, shrinking).byte("b"), { code: "Truncated" });
    const shortName: ModuleSource = {
      size: 100,
      read: (offset, length) => (offset === 0 ? new Uint8Array(length).fill(9) : new Uint8Array(1)),
    };
    assert.throws(() => readerOf(bytes, shortName).name("name"), { code: "Truncated" });
  });
});
