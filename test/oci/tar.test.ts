import assert from "node:assert/strict";
import { buffer } from "node:stream/consumers";
import { pack } from "tar-stream";
import { readTar } from "../../src/oci/tar.ts";
import { coded } from "./scripted-server.ts";
import { paxRecords, type RawEntry, rawEntry, rawTar, TAR_END } from "./tars.ts";

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Every entry with its content, as text. */
async function read(tar: Buffer, pieces = 1000): Promise<string[]> {
  const found: { head: string; content: Buffer[] }[] = [];
  await readTar(inPieces(tar, pieces), ({ path, kind, size }) => {
    const entry = { head: `${kind} ${path} ${size}`, content: [] as Buffer[] };
    found.push(entry);
    return async chunk => void entry.content.push(chunk);
  });
  return found.map(({ head, content }) => `${head} ${Buffer.concat(content)}`.trim());
}

const pax = (records: Readonly<Record<string, string>>, type = "x"): RawEntry => ({
  name: "PaxHeaders/x",
  type,
  content: paxRecords(records),
});
const gnu = { magic: "ustar  \0" };
const long = `${"long/".repeat(50)}plugin.wasm`;

describe("readTar", () => {
  const accepted: readonly (readonly [what: string, tar: Buffer, expected: readonly string[]])[] = [
    ["a file", rawTar({ content: "abc" }), ["file plugin.wasm 3 abc"]],
    ["a file of one whole block", rawTar({ content: "x".repeat(512) }), [`file plugin.wasm 512 ${"x".repeat(512)}`]],
    ["POSIX's prefix", rawTar({ prefix: "a/b", content: "1" }), ["file a/b/plugin.wasm 1 1"]],
    [
      "GNU's header, whose prefix is none",
      rawTar({ ...gnu, prefix: "1234567", content: "1" }),
      ["file plugin.wasm 1 1"],
    ],
    ["a pax path", rawTar(pax({ path: long, mtime: "1.5" }), { content: "1" }), [`file ${long} 1 1`]],
    ["a pax size", rawTar(pax({ size: "2" }), { content: "12", size: "00000000000\0" }), ["file plugin.wasm 2 12"]],
    ["empty pax records", rawTar(pax({ path: "", size: "" }), { content: "1" }), ["file plugin.wasm 1 1"]],
    ["a pax header for one entry only", rawTar(pax({ path: "a" }), {}, {}), ["file a 0", "file plugin.wasm 0"]],
    ["a global pax comment", rawTar(pax({ comment: "0123" }, "g"), { content: "1" }), ["file plugin.wasm 1 1"]],
    [
      "GNU's long names",
      rawTar(
        { ...gnu, type: "K", content: "x\0" },
        { ...gnu, type: "L", content: `${long}\0` },
        { ...gnu, content: "1" },
      ),
      [`file ${long} 1 1`],
    ],
    ["a size in base 256", rawTar({ size: base256(0x80, 3), content: "abc" }), ["file plugin.wasm 3 abc"]],
    ["a size with spaces", rawTar({ size: "         3 \0", content: "abc" }), ["file plugin.wasm 3 abc"]],
    ["old and contiguous files", rawTar({ type: "\0" }, { type: "7" }), ["file plugin.wasm 0", "file plugin.wasm 0"]],
    ["a folder as old tars have it", rawTar({ type: "\0", name: "a/" }), ["directory a/ 0"]],
    ["no end", rawEntry({ content: "abc" }), ["file plugin.wasm 3 abc"]],
    ["one block of zeros as end", Buffer.concat([rawEntry({}), TAR_END.subarray(0, 512)]), ["file plugin.wasm 0"]],
    ["zeros behind the end", Buffer.concat([rawTar({}), Buffer.alloc(9000)]), ["file plugin.wasm 0"]],
    ["nothing", Buffer.alloc(0), []],
  ];
  for (const [what, tar, expected] of accepted) {
    it(`reads ${what}`, async () => {
      for (const pieces of [1, 511, 100_000]) assert.deepEqual(await read(tar, pieces), expected);
    });
  }

  const refused: readonly (readonly [what: string, tar: Buffer, message: RegExp])[] = [
    ["an entry behind the end", rawTar(rawTar({ name: "a" }), {}), /more behind its end/],
    ["an entry behind one block of zeros", rawTar({}, Buffer.alloc(512), {}), /more behind its end/],
    ["an old sparse file", rawTar({ ...gnu, type: "S" }), /type 0x53/],
    ["a pax sparse file, format 0.1", rawTar(pax({ "GNU.sparse.map": "0,8" }), {}), /sparse/],
    [
      "a pax sparse file, format 1.0, with another name",
      rawTar(pax({ "GNU.sparse.major": "1", "GNU.sparse.name": "plugin.wasm" }), { name: "GNUSparseFile.0/x" }),
      /sparse/,
    ],
    ["a global header that renames", rawTar(pax({ path: "plugin.wasm" }, "g"), { name: "x" }), /renames or resizes/],
    ["a global header that resizes", rawTar(pax({ size: "0" }, "g"), {}), /renames or resizes/],
    ["two names for one entry", rawTar(pax({ path: "a" }), { ...gnu, type: "L", content: "b\0" }, {}), /two headers/],
    ["two pax headers for one entry", rawTar(pax({ path: "a" }), pax({ path: "b" }), {}), /two headers/],
    ["a pax header for nothing", rawTar(pax({ path: "a" })), /never comes/],
    ["a link with content", rawTar({ type: "2", content: "x" }), /a symlink with content/],
    ["a folder with content", rawTar({ type: "5", content: "x" }), /a directory with content/],
    ["a folder that pax gives content", rawTar(pax({ size: "512" }), { type: "5" }), /a directory with content/],
    ["a wrong checksum", rawTar({ checksum: "000000\0 " }), /checksum/],
    ["another format's magic", rawTar({ magic: "\0\0\0\0\0\0\0\0" }), /neither POSIX's nor GNU's/],
    ["a size that is text", rawTar({ size: "0000000008\0 " }), /number that is none/],
    ["digits behind the end of a number", rawTar({ size: "1 1\0        " }), /number that is none/],
    ["a negative size", rawTar({ size: Buffer.alloc(12, 0xff) }), /negative/],
    ["a size beyond exact numbers", rawTar({ size: base256(0x80, 2 ** 48, 2 ** 16) }), /beyond/],
    ["a pax size that is text", rawTar(pax({ size: "1x" }), {}), /pax size/],
    ["a negative pax size", rawTar(pax({ size: "-1" }), {}), /pax size/],
    ["a pax record twice", rawTar({ type: "x", content: paxRecords({ path: "a" }).repeat(2) }, {}), /twice/],
    ["a pax record without key", rawTar({ type: "x", content: "5 =a\n" }, {}), /without a key/],
    ["a pax record without length", rawTar({ type: "x", content: "path=a\n" }, {}), /without a length/],
    ["a pax record longer than its header", rawTar({ type: "x", content: "99 path=a\n" }, {}), /without a length/],
    ["a pax record shorter than it is", rawTar({ type: "x", content: "9 path=abc\n" }, {}), /another length/],
    ["a pax path with a NUL", rawTar(pax({ path: "a\0b" }), {}), /a path that is none/],
    ["a path longer than any", rawTar(pax({ path: "a".repeat(4097) }), {}), /a path of more than 4096/],
    ["a header larger than any", rawTar({ type: "x", size: "00004000001\0" }), /1048577 bytes, 1048576/],
    ["a long name larger than any", rawTar({ ...gnu, type: "L", size: "77777777777\0" }), /8589934591 bytes/],
    ["too many entries", rawTar(...Array(1025).fill({})), /more than 1024/],
    ["too many headers of nothing", rawTar(...Array(1025).fill(pax({ comment: "" }, "g"))), /more than 1024/],
    ["half a header", rawEntry({}).subarray(0, 300), /an end in the middle/],
    ["half a file", rawEntry({ content: "x".repeat(600) }).subarray(0, 900), /an end in the middle/],
    ["a file without its padding", rawEntry({ content: "abc", padding: 0 }), /an end in the middle/],
    ["a pax header without what it describes it with", rawEntry(pax({ path: "a" })).subarray(0, 512), /middle/],
  ];
  for (const [what, tar, message] of refused) {
    it(`refuses ${what}`, async () => {
      for (const pieces of [13, 100_000]) await assert.rejects(read(tar, pieces), coded("BadArchive", message));
    });
  }

  it("reads what tar-stream writes", async () => {
    const archive = pack();
    const names = ["plugin.wasm", long, "ü/ß.wasm", `${"x".repeat(120)}`];
    for (const name of names) archive.entry({ name }, name);
    archive.entry({ name: "link", type: "symlink", linkname: long.repeat(3) });
    archive.finalize();
    const expected = names.map(name => `file ${name} ${Buffer.byteLength(name)} ${name}`);
    assert.deepEqual(await read(await buffer(archive)), [...expected, "symlink link 0"]);
  });

  it("asks for no more once the visitor fails, and lets its source go", async () => {
    let passed = 0;
    let closed = false;
    async function* source() {
      try {
        for await (const piece of inPieces(rawTar({ content: Buffer.alloc(100_000) }), 512)) {
          passed += 1;
          yield piece;
        }
      } finally {
        closed = true;
      }
    }
    const failing = readTar(source(), () => async () => {
      throw new Error("disk full");
    });
    await assert.rejects(failing, { message: "disk full" });
    assert.deepEqual([passed, closed], [2, true]);
  });
});

/** GNU's form for numbers: the first byte, then the number's bytes (or, of two, their product's). */
function base256(first: number, number: number, times = 1): Buffer {
  const field = Buffer.alloc(12);
  field[0] = first;
  let left = BigInt(number) * BigInt(times);
  for (let at = 11; at > 0; at -= 1, left >>= 8n) field[at] = Number(left & 0xffn);
  return field;
}
