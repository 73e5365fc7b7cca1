import assert from "node:assert/strict";
import { once } from "node:events";
import { ClientRequest } from "node:http";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import fc from "fast-check";
import { Connection } from "../../../src/http/connection.ts";
import { HttpError } from "../../../src/http/error.ts";
import { Inbound } from "../../../src/http/inbound.ts";
import { HEAD_END, type Headers } from "../../../src/http/response-head.ts";
import type { FuzzTarget } from "../target.ts";

/** What stands in for a socket: it says what it is given, and hears nothing. */
class Line extends Duplex {
  override _read() {}
  override _write(_chunk: unknown, _encoding: unknown, done: () => void) {
    done();
  }
  setNoDelay() {}
  setTimeout() {}
  ref() {}

  get socket(): Socket {
    return this as Duplex as Socket;
  }

  /** Nothing at all for the connection's end. @returns once it is heard */
  async say(bytes: Buffer | null): Promise<void> {
    this.push(bytes);
    await new Promise(setImmediate);
  }
}

/** A response that is being read, as far as that has come. */
interface Reading {
  readonly line: Line;
  failure: unknown;
  isWhole: boolean;
  status: number;
  /** By lower-case name, all values that may count for it. */
  fields: ReadonlyMap<string, readonly string[]>;
  readonly body: Buffer[];
  /** Bytes that it takes, once it is whole. */
  end: number;
}

const begun = (): Reading => ({
  line: new Line(),
  failure: null,
  isWhole: false,
  status: 0,
  fields: new Map(),
  body: [],
  end: 0,
});

/** As we read it. */
function ours(method: string): Reading {
  const reading = begun();
  const inbound = new Inbound();
  inbound.attach(reading.line.socket, true);
  const connection = new Connection(reading.line.socket, inbound);
  const { signal } = new AbortController();
  const read = async () => {
    const response = await connection.exchange({ method, head: "", body: null, idleMs: 0, signal }, () => {});
    reading.status = response.status;
    reading.fields = fieldsOf(response.headers);
    for await (const chunk of response.body.chunks()) reading.body.push(Buffer.from(chunk));
    reading.isWhole = true;
    const { length } = await inbound.some(Number.POSITIVE_INFINITY, 0);
    reading.end = inbound.received - length;
  };
  read().catch(error => {
    reading.failure = error;
  });
  return reading;
}

function fieldsOf(headers: Headers): Map<string, string[]> {
  return new Map(Object.entries(headers).map(([name, value]) => [name, [value ?? ""]]));
}

/** As Node's client reads it. */
async function theirs(method: string): Promise<Reading> {
  const reading = begun();
  const { line } = reading;
  const failed = (error: unknown) => {
    reading.failure ??= error;
  };
  const request = new ClientRequest({ method, createConnection: () => line.socket });
  // As many as there are.
  request.maxHeadersCount = 0;
  request.on("error", failed).on("response", response => {
    reading.status = response.statusCode ?? 0;
    reading.fields = rawFields(response.rawHeaders);
    response.on("error", failed).on("data", chunk => void reading.body.push(chunk));
    response.on("end", () => {
      reading.isWhole = response.complete;
    });
  });
  request.end();
  await once(request, "socket");
  return reading;
}

function rawFields(raw: readonly string[]): Map<string, string[]> {
  const values = new Map<string, string[]>();
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]?.toLowerCase() ?? "";
    values.set(name, [...(values.get(name) ?? []), raw[at + 1] ?? ""]);
  }
  // Ours is the first of them, or all of them.
  return new Map([...values].map(([name, all]) => [name, [all[0] ?? "", all.join(", ")]]));
}

/** In pieces whose size depends on nothing but the input. */
function* piecesOf(input: Buffer): Generator<Buffer> {
  const size = 1 + (input.reduce((sum, byte) => sum + byte, 0) % 97);
  for (let at = 0; at < input.length; at += size) yield input.subarray(at, at + size);
}

/** Reads it whole, and in pieces. @returns how many bytes the response takes, or null where we refuse it */
async function endOf(method: string, input: Buffer): Promise<number | null> {
  const [whole, inPieces] = [ours(method), ours(method)];
  await whole.line.say(input);
  for (const piece of piecesOf(input)) inPieces.line.push(piece);
  for (const { line } of [whole, inPieces]) {
    await line.say(null);
    line.destroy();
  }
  assert.deepEqual(contentOf(inPieces), contentOf(whole), "it depends on the pieces in which it comes");
  const { failure, isWhole, end } = whole;
  assert.ok(isWhole || failure instanceof HttpError, `it fails with ${failure}`);
  return isWhole ? end : null;
}

function contentOf({ failure, isWhole, status, fields, body, end }: Reading) {
  return { failure: String(failure), isWhole, status, fields, body: Buffer.concat(body).toString("latin1"), end };
}

/** Has Node's client read what we take for a response. @throws where that is not the same response */
async function compare(method: string, input: Buffer, end: number): Promise<void> {
  const both = [ours(method), await theirs(method)] as const;
  const [our, their] = both;
  const states = () => both.map(({ failure, isWhole }) => [String(failure), isWhole]);
  try {
    for (const [part, when] of [
      [input.subarray(0, end - 1), "before the last byte"],
      [input.subarray(end - 1, end), "with the last byte"],
      [null, "with the connection's end"],
    ] as const) {
      assert.equal(our.isWhole && part !== null, false, "it is whole before its last byte");
      for (const { line } of both) await line.say(part);
      const [state, other] = states();
      assert.deepEqual(other, state, when);
    }
    assert.deepEqual(states(), Array(2).fill(["null", true]));
    assert.equal(their.status, our.status);
    assert.ok(Buffer.concat(their.body).equals(Buffer.concat(our.body)), "the bodies differ");
    assert.deepEqual([...their.fields.keys()].sort(), [...our.fields.keys()].sort());
    for (const [name, [value = ""]] of our.fields) assert.ok(their.fields.get(name)?.includes(value), name);
  } finally {
    for (const { line } of both) line.destroy();
  }
}

const OK = "HTTP/1.1 200 OK\r\n";
const CHUNKED = "transfer-encoding: chunked\r\n";
const SURPLUS = "HTTP/1.1 204 No Content\r\n\r\n";
const seeds = [
  `${OK}Content-Type: application/json\r\nContent-Length: 5\r\n\r\nhello${SURPLUS}`,
  `HTTP/1.0 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno`,
  `${OK}ETag: "a"\r\n\r\nhello`,
  `${OK}${CHUNKED}\r\n5\r\nhello\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n${SURPLUS}`,
  `${OK}Transfer-Encoding: Chunked\r\nTrailer: digest\r\n\r\n5;a=b;c="d e"\r\nhello\r\n0;f\r\nDigest: x\r\ng: \r\n\r\n`,
  SURPLUS + SURPLUS,
  `HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n${SURPLUS}`,
  `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}Content-Length: 0\r\n\r\n`,
  `HTTP/1.1 307\r\nLocation: /a\r\nlocation:/b\r\nVary: a\r\nvary:\t b \r\ncontent-length: 0\r\n\r\n`,
  `HTTP/1.1 401 \xfc\r\nWWW-Authenticate: Bearer realm="a"\r\nSet-Cookie: \xe4=b\r\ncontent-length: 1\r\n\r\n\n`,
];

/** Responses of lines that are well-formed, or nearly. */
const lines = {
  status: [
    OK,
    OK,
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 204\r\n",
    "HTTP/1.1 304 \r\n",
    "HTTP/1.1 199 \r\n",
    "HTTP/1.1 101 S\r\n",
  ],
  field: [
    CHUNKED,
    "Transfer-Encoding: CHUNKED \r\n",
    "transfer-encoding: gzip\r\n",
    "content-length: 5\r\n",
    "content-length:\t00005\r\n",
    "content-length: 0\r\n",
    "connection: close\r\n",
    "proxy-connection: close\r\n",
    "connection: upgrade, keep-alive\r\n",
    "upgrade: h2c\r\n",
    "trailer: a\r\n",
    "a: b \t c \r\n",
    "a:\r\n",
    "c: \xa0d\x85 \r\n",
    "x\t: y\r\n",
    " folded\r\n",
    "location: /\xe4\r\n",
    "b: c\n",
    "b: c\r\r\n",
  ],
  body: [
    "5\r\nhello\r\n",
    "05;a\r\nhello\r\n",
    "5 \r\nhello\r\n",
    "5;\r\nhello\r\n",
    "5;a=\r\nhello\r\n",
    "5;=b\r\nhello\r\n",
    '5;a="b\\"c"\r\nhello\r\n',
    "5;a;b ; c=d\r\nhello\r\n",
    "5\nhello\n",
    "5\r\nhello\n",
    "5\r\nhello\r",
    "1a\r\nabcdefghijklmnopqrstuvwxyz\r\n",
    "hello",
    "0\r\n\r\n",
    "0\r\na: b\r\n\r\n",
    "0\r\na\r\n\r\n",
    "0\r\na: b\nc: d\r\n\r\n",
    "0\r\ncontent-length: 5\r\n\r\n",
    "0\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
    "000\r\n",
    "\r\n",
    SURPLUS,
  ],
};
const some = (from: readonly string[], maxLength: number) =>
  fc.array(fc.constantFrom(...from), { maxLength }).map(chosen => chosen.join(""));
const interim = fc.oneof(
  fc.constant(""),
  some(lines.field, 2).map(fields => `HTTP/1.1 103 Early Hints\r\n${fields}\r\n`),
);
const composed = fc
  .tuple(interim, fc.constantFrom(...lines.status), some(lines.field, 4), some(lines.body, 5))
  .map(([before, status, fields, body]) => Buffer.from(`${before}${status}${fields}\r\n${body}`, "latin1"));

/** What we take for a response is the same response to Node's client, of the same length, however it comes. */
export const httpResponses: FuzzTarget = {
  name: "http-response",
  seeds: seeds.map(seed => Buffer.from(seed, "latin1")),
  inputs: composed,
  tokens: [
    "\r\n",
    "\n",
    "\r",
    HEAD_END,
    "\n\n",
    "\0",
    " ",
    "\t",
    ":",
    ";",
    ",",
    '"',
    "\x0b",
    "\x7f",
    "\xa0",
    "HTTP/1.1 ",
    "HTTP/1.0",
    "0\r\n\r\n",
    "\r\n0\r\n",
    "ffffffff",
    "fffffffffffffff1",
    "0x5",
    "+5",
    CHUNKED,
    "content-length: 5\r\n",
    "content-length: 99999999999999999999\r\n",
    "connection: close\r\n",
    "\r\n folded",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "__proto__: a\r\n",
    "a: b\r\n".repeat(3000),
    ";a=b".repeat(2000),
    "x".repeat(16 * 1024),
  ],
  run: async input => {
    for (const method of ["GET", "HEAD"]) {
      const end = await endOf(method, input);
      if (end !== null) await compare(method, input, end);
    }
  },
};
