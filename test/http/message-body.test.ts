import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import type { Framing } from "../../src/http/framing.ts";
import { Inbound } from "../../src/http/inbound.ts";
import { messageBody } from "../../src/http/message-body.ts";

const CHUNKED: Framing = { kind: "chunked" };
const CLOSE: Framing = { kind: "close" };
const sized = (size: number): Framing => ({ kind: "length", size });

/** What comes in these pieces, after which the connection is closed. */
function coming(...pieces: readonly (string | Buffer)[]): Inbound {
  const inbound = new Inbound();
  const stream = Readable.from(pieces.map(piece => (typeof piece === "string" ? Buffer.from(piece, "latin1") : piece)));
  inbound.attach(stream as Readable as Socket, true);
  return inbound;
}

async function read(inbound: Inbound, framing: Framing): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of messageBody(inbound, framing)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

/** The body, and what is left behind it. */
async function split(inbound: Inbound, framing: Framing): Promise<readonly [body: string, rest: string]> {
  const body = (await read(inbound, framing)).toString("latin1");
  return [body, (await inbound.some(1000)).toString("latin1")];
}

/** A body that comes chunked: the text up to its end. */
const bodies: readonly (readonly [what: string, text: string, body: string])[] = [
  ["no chunk", "0\r\n\r\n", ""],
  ["a chunk", "5\r\nhello\r\n0\r\n\r\n", "hello"],
  ["several chunks", "1\r\nh\r\n2\r\nel\r\n2\r\nlo\r\n0\r\n\r\n", "hello"],
  ["a size in lower case", "a\r\n0123456789\r\n0\r\n\r\n", "0123456789"],
  ["a size in upper case", "A\r\n0123456789\r\n0\r\n\r\n", "0123456789"],
  ["zeros before sizes", "00000005\r\nhello\r\n000\r\n\r\n", "hello"],
  ["extensions", "5;a=b;c;d=e\r\nhello\r\n0;c\r\n\r\n", "hello"],
  ["an extension in quotes", '5;a="b c"\r\nhello\r\n0\r\n\r\n', "hello"],
  ["trailers", "5\r\nhello\r\n0\r\nDigest: sha-256=x\r\nb: c\r\n\r\n", "hello"],
  ["line ends as content", "4\r\n\r\n\r\n\r\n7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n0\r\n\r\n\r\n"],
  ["bytes beyond ASCII", "3\r\n\x00\x80\xff\r\n0\r\n\r\n", "\x00\x80\xff"],
];

describe("a body in chunks", () => {
  for (const [what, text, body] of bodies) {
    it(`may have ${what}`, async () => {
      assert.deepEqual(await split(coming(`${text}next`), CHUNKED), [body, "next"]);
    });
  }

  it("may come in any pieces", async () => {
    for (const [what, text, body] of bodies) {
      const all = `${text}next`;
      assert.deepEqual(await split(coming(...all), CHUNKED), [body, "next"], what);
      for (let at = 1; at < all.length; at += 1) {
        const pieces = [all.slice(0, at), all.slice(at)];
        assert.deepEqual(await split(coming(...pieces), CHUNKED), [body, "next"], `${what}, cut at ${at}`);
      }
    }
  });

  it("ends with its last chunk, though the connection stays open", async () => {
    const stream = new Readable({ read() {} });
    const inbound = new Inbound();
    inbound.attach(stream as Readable as Socket, true);
    stream.push("5\r\nhello\r\n0\r\n\r\n");
    assert.equal((await read(inbound, CHUNKED)).toString(), "hello");
    assert.ok(inbound.isQuiet);
  });

  it("may have a chunk larger than any buffer", async () => {
    const chunk = Buffer.alloc(1_000_000, "wasmount");
    const pieces = [`${chunk.length.toString(16)}\r\n`, chunk, "\r\n5\r\nhello\r\n0\r\n\r\n"];
    assert.ok((await read(coming(...pieces), CHUNKED)).equals(Buffer.concat([chunk, Buffer.from("hello")])));
  });

  const longest = 4 * 1024 - "5;\r\n".length;
  const line = (length: number) => `5;${"x".repeat(length)}\r\nhello\r\n0\r\n\r\n`;
  const trailers = (bytes: number) => `0\r\na: ${"x".repeat(bytes - 2 * "a: \r\n".length - 2)}\r\na: \r\n\r\n`;

  it("may have lines of 4 KiB and trailers of 16 KiB", async () => {
    assert.deepEqual(await split(coming(line(longest)), CHUNKED), ["hello", ""]);
    assert.deepEqual(await split(coming(`${trailers(16 * 1024)}next`), CHUNKED), ["", "next"]);
  });

  const small = (count: number, bytes: number) =>
    `${`${bytes.toString(16)}\r\n${"x".repeat(bytes)}\r\n`.repeat(count)}0\r\n\r\n`;

  it("may have small chunks, as long as they are few or as large as what is around them", async () => {
    for (const [count, bytes] of [
      [1024, 1],
      [5000, 64],
    ] as const) {
      assert.equal((await read(coming(small(count, bytes)), CHUNKED)).length, count * bytes);
    }
  });

  const refused: readonly (readonly [what: string, text: string])[] = [
    ["thousands of chunks of a byte", small(2000, 1)],
    ["no size", "\r\nhello\r\n0\r\n\r\n"],
    ["a size that is no number", "five\r\nhello\r\n0\r\n\r\n"],
    ["a negative size", "-5\r\nhello\r\n0\r\n\r\n"],
    ["a signed size", "+5\r\nhello\r\n0\r\n\r\n"],
    ["a size with 0x before it", "0x5\r\nhello\r\n0\r\n\r\n"],
    ["a size in parts", "5 5\r\nhello\r\n0\r\n\r\n"],
    ["a size with a point", "5.0\r\nhello\r\n0\r\n\r\n"],
    ["a space before the size", " 5\r\nhello\r\n0\r\n\r\n"],
    ["a size of 13 digits", "0000000000005\r\nhello\r\n0\r\n\r\n"],
    ["a size past all numbers", `${"f".repeat(17)}\r\nhello`],
    ["an extension without a semicolon", "5 a=b\r\nhello\r\n0\r\n\r\n"],
    ["a space behind the size", "5 \r\nhello\r\n0\r\n\r\n"],
    ["a tab behind the size", "5\t\r\nhello\r\n0\r\n\r\n"],
    ["a space before an extension", "5 ;a\r\nhello\r\n0\r\n\r\n"],
    ["an empty extension", "5;\r\nhello\r\n0\r\n\r\n"],
    ["an extension of two words", "5;a b\r\nhello\r\n0\r\n\r\n"],
    ["more behind an extension in quotes", '5;a="b"c\r\nhello\r\n0\r\n\r\n'],
    ["an extension in quotes without an end", '5;a="b\r\nhello\r\n0\r\n\r\n'],
    ["a control character in an extension", "5;a\x00\r\nhello\r\n0\r\n\r\n"],
    ["a size ended by a line feed", "5\nhello\r\n0\r\n\r\n"],
    ["a size ended by a carriage return", "5\rhello\r\n0\r\n\r\n"],
    ["a line feed in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"],
    ["nothing behind its content", "5\r\nhello0\r\n\r\n"],
    ["a line feed behind its content", "5\r\nhello\n0\r\n\r\n"],
    ["a carriage return and more behind its content", "5\r\nhello\r0\r\n\r\n"],
    ["more content than its size", "4\r\nhello\r\n0\r\n\r\n"],
    ["less content than its size", "6\r\nhello\r\n0\r\n\r\n"],
    ["a line longer than 4 KiB", line(longest + 1)],
    ["a line without an end", `5;${"x".repeat(100_000)}`],
    ["a size without an end", "0".repeat(100_000)],
    ["trailers longer than 16 KiB", trailers(16 * 1024 + 1)],
    ["a trailer without a colon", "0\r\na\r\n\r\n"],
    ["a trailer with a space before the colon", "0\r\na : b\r\n\r\n"],
    ["a folded trailer", "0\r\na: b\r\n c\r\n\r\n"],
    ["a line feed in a trailer", "0\r\na: b\nc: d\r\n\r\n"],
    ["a carriage return in a trailer", "0\r\na: b\rc: d\r\n\r\n"],
    ["a NUL in a trailer", "0\r\na: \x00\r\n\r\n"],
    ["a trailer about the length", "0\r\nContent-Length: 5\r\n\r\n"],
    ["a trailer about the coding", "0\r\na: b\r\ntransfer-encoding: chunked\r\n\r\n"],
    ["a trailer about the connection", "0\r\nconnection: close\r\n\r\n"],
    ["trailers ended by a line feed", "0\r\na: b\r\n\n\r\n"],
    ["a trailer without an end", `0\r\na: ${"x".repeat(100_000)}`],
    ["trailers without an end", `0\r\n${"a: b\r\n".repeat(20_000)}`],
  ];
  for (const [what, text] of refused) {
    it(`is refused with ${what}`, async () => {
      await assert.rejects(read(coming(text), CHUNKED), { name: "HttpError", code: "NotHttp" });
    });
  }

  it("is not whole before its end", async () => {
    for (const [what, text] of bodies) {
      for (let at = 0; at < text.length; at += 1) {
        const cut = read(coming(text.slice(0, at)), CHUNKED);
        await assert.rejects(cut, { name: "HttpError", code: "Closed" }, `${what}, closed after ${at} bytes`);
      }
    }
  });
});

describe("a body of a length", () => {
  it("ends there, whatever follows", async () => {
    for (const [size, body, rest] of [
      [0, "", "hello"],
      [1, "h", "ello"],
      [5, "hello", ""],
    ] as const) {
      assert.deepEqual(await split(coming("hello"), sized(size)), [body, rest]);
      assert.deepEqual(await split(coming(..."hello"), sized(size)), [body, rest]);
    }
  });

  it("is not whole before its end", async () => {
    for (const pieces of [[], ["hell"], [..."hell"]]) {
      await assert.rejects(read(coming(...pieces), sized(5)), { name: "HttpError", code: "Closed" });
    }
  });

  it("gives what had come before it broke off", async () => {
    const pieces: string[] = [];
    const reading = async () => {
      for await (const piece of messageBody(coming("hell"), sized(5))) pieces.push(piece.toString());
    };
    await assert.rejects(reading(), { code: "Closed" });
    assert.deepEqual(pieces, ["hell"]);
  });

  it("may be larger than any buffer, and its pieces than that", async () => {
    const body = Buffer.alloc(2_000_003, "wasmount");
    assert.ok((await read(coming(body), sized(body.length))).equals(body));
    const pieces = [body.subarray(0, 700_000), body.subarray(700_000, 700_001), body.subarray(700_001)];
    assert.ok((await read(coming(...pieces), sized(body.length))).equals(body));
  });

  it("fails as its connection does, once all that came before is read", async () => {
    const broken = new Error("broken");
    const stream = Readable.from(
      (async function* () {
        yield Buffer.from("hell");
        throw broken;
      })(),
    );
    const inbound = new Inbound();
    inbound.attach(stream as Readable as Socket, true);
    const pieces: string[] = [];
    const reading = async () => {
      for await (const piece of messageBody(inbound, sized(5))) pieces.push(piece.toString());
    };
    await assert.rejects(reading(), broken);
    assert.deepEqual(pieces, ["hell"]);
  });
});

describe("a body that ends with its connection", () => {
  it("is all that comes", async () => {
    assert.equal((await read(coming(), CLOSE)).toString(), "");
    assert.equal((await read(coming(..."5\r\nhello"), CLOSE)).toString(), "5\r\nhello");
    const body = Buffer.alloc(1_000_000, "wasmount");
    assert.ok((await read(coming(body), CLOSE)).equals(body));
  });

  it("is not whole where the connection fails", async () => {
    const broken = new Error("broken");
    const stream = new Readable({ read() {} });
    const inbound = new Inbound();
    inbound.attach(stream as Readable as Socket, true);
    const reading = read(inbound, CLOSE);
    stream.push("hello");
    stream.destroy(broken);
    await assert.rejects(reading, broken);
  });
});
