import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { RegistryClient } from "../../src/oci/client.ts";
import { digestOf } from "../../src/oci/digest.ts";
import type { RegistryClientOptions } from "../../src/oci/options.ts";
import { coded } from "./scripted-server.ts";

const MIB = 1024 * 1024;
const BLOB = randomBytes(5 * MIB + 17);
const DESCRIPTOR = { mediaType: "application/wasm", digest: digestOf(BLOB), size: BLOB.length };

/** What a server does with the n-th request, whose range begins at a byte. */
type Answer = (socket: Socket, from: number, request: number) => void;

const head = (from: number, size = BLOB.length) =>
  from === 0
    ? `HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`
    : `HTTP/1.1 206 Partial Content\r\ncontent-length: ${size - from}\r\ncontent-range: bytes ${from}-${size - 1}/${size}\r\n\r\n`;
const whole: Answer = (socket, from) => {
  socket.write(head(from));
  socket.write(BLOB.subarray(from));
};

describe("a blob that is lent", () => {
  let server: Server;
  let client: RegistryClient;
  let sockets: Socket[];
  let ranges: number[];

  beforeEach(() => {
    sockets = [];
    ranges = [];
  });
  afterEach(async () => {
    client.close();
    for (const socket of sockets) socket.destroy();
    await new Promise(resolve => server.close(resolve));
  });

  /** The server is one of TCP: where the reads end is what these tests are about. */
  async function blob(answer: Answer, options: RegistryClientOptions = {}, signal?: AbortSignal) {
    server = createServer({ noDelay: true }, socket => {
      sockets.push(socket);
      socket.on("error", () => {});
      let asked = "";
      socket.on("data", data => {
        asked += data;
        if (!asked.includes("\r\n\r\n")) return;
        const from = Number(/^range: bytes=(\d+)-/im.exec(asked)?.[1] ?? 0);
        asked = "";
        ranges.push(from);
        answer(socket, from, ranges.length);
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    client = new RegistryClient({
      registries: [{ host: address, plainHttp: true }],
      sleep: async () => {},
      ...options,
    });
    return client.blob(address, "a", DESCRIPTOR, signal, undefined, true);
  }

  /** Reads as whoever borrows does: nothing is kept of a chunk once the next one is asked for. */
  async function sha256(chunks: AsyncIterable<Buffer>): Promise<string> {
    const hash = createHash("sha256");
    for await (const chunk of chunks) hash.update(chunk);
    return `sha256:${hash.digest("hex")}`;
  }

  it("comes whole, through one buffer of two halves, which grow once", async () => {
    const memory = new Set<ArrayBufferLike>();
    const hash = createHash("sha256");
    for await (const chunk of await blob(whole)) {
      hash.update(chunk);
      memory.add(chunk.buffer);
    }
    assert.equal(`sha256:${hash.digest("hex")}`, DESCRIPTOR.digest);
    assert.ok(memory.size <= 4, `${memory.size} pieces of memory`);
  });

  it("waits for a slow reader, and overwrites nothing that it still reads", async () => {
    const hash = createHash("sha256");
    for await (const chunk of await blob(whole)) {
      const before = digestOf(chunk);
      for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
      assert.equal(digestOf(chunk), before);
      hash.update(chunk);
    }
    assert.equal(`sha256:${hash.digest("hex")}`, DESCRIPTOR.digest);
  });

  it("may come in any pieces: headers in two, a byte, the rest", async () => {
    const pieces = [
      head(0).slice(0, 20),
      head(0).slice(20),
      BLOB.subarray(0, 1),
      BLOB.subarray(1, 2),
      BLOB.subarray(2),
    ];
    const answer: Answer = async socket => {
      for (const piece of pieces) {
        await new Promise(resolve => socket.write(piece, resolve));
        for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
      }
    };
    assert.equal(await sha256(await blob(answer)), DESCRIPTOR.digest);
  });

  it("ends where its length says, whatever follows", async () => {
    const answer: Answer = (socket, from, request) => {
      whole(socket, from, request);
      socket.write(Buffer.alloc(MIB));
    };
    assert.equal(await sha256(await blob(answer)), DESCRIPTOR.digest);
    assert.deepEqual(ranges, [0]);
  });

  it("goes on where its connection broke off, with all that had come", async () => {
    const sent = 3 * MIB + 5;
    const answer: Answer = (socket, from, request) => {
      if (request > 1) return whole(socket, from, request);
      socket.write(head(0));
      socket.end(BLOB.subarray(0, sent));
    };
    assert.equal(await sha256(await blob(answer)), DESCRIPTOR.digest);
    assert.deepEqual(ranges, [0, sent]);
  });

  it("is refused where it is another one", async () => {
    const answer: Answer = socket => {
      socket.write(head(0));
      socket.write(BLOB.subarray(0, -1));
      socket.write(Buffer.from([~(BLOB.at(-1) ?? 0)]));
    };
    await assert.rejects(sha256(await blob(answer)), coded("DigestMismatch"));
  });

  it("fails where its connection breaks each time", async () => {
    const answer: Answer = (socket, from) => {
      socket.write(head(from));
      socket.end(BLOB.subarray(from, from + MIB));
    };
    await assert.rejects(sha256(await blob(answer)), coded("Unreachable"));
    assert.equal(ranges.length, 4);
  });

  it("fails where the server falls silent", async () => {
    const answer: Answer = socket => {
      socket.write(head(0));
      socket.write(BLOB.subarray(0, MIB));
    };
    const options = { timeouts: { idleMs: 50 }, retry: { attempts: 1 } };
    await assert.rejects(sha256(await blob(answer, options)), coded("Timeout"));
  });

  it("ends when it is told to", async () => {
    const stop = new AbortController();
    const answer: Answer = socket => {
      socket.write(head(0));
      socket.write(BLOB.subarray(0, MIB), () => stop.abort());
    };
    await assert.rejects(sha256(await blob(answer, {}, stop.signal)), coded("Cancelled"));
  });

  it("closes its connection where its reader has enough", async () => {
    const chunks = await blob(whole);
    for await (const _ of chunks) break;
    await new Promise<void>(resolve => {
      const [socket] = sockets;
      if (socket?.closed) resolve();
      else socket?.on("close", () => resolve());
    });
  });

  it("comes the same way where its length is not known before", async () => {
    const answer: Answer = socket => {
      socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
      for (let at = 0; at < BLOB.length; at += MIB) {
        const part = BLOB.subarray(at, at + MIB);
        socket.write(`${part.length.toString(16)}\r\n`);
        socket.write(part);
        socket.write("\r\n");
      }
      socket.write("0\r\n\r\n");
    };
    assert.equal(await sha256(await blob(answer)), DESCRIPTOR.digest);
  });
});
