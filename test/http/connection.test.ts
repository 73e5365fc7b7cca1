import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { Connection, type HttpRequest, type HttpResponse, type RequestBody } from "../../src/http/connection.ts";
import { dialPlain } from "../../src/http/dialling.ts";
import { Inbound } from "../../src/http/inbound.ts";
import { type Part, RawServer } from "./raw-server.ts";
import { bodyOf, bytesOf, type RequestChange, requestOf } from "./requests.ts";

const HELLO = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
const MIB = 1024 * 1024;
/** Longer than any test may take: what waits for it fails. */
const LONG_MS = 60_000;

/** What a test learns of an exchange besides its response. */
interface Course {
  readonly response: Promise<HttpResponse>;
  /** Whether another one may follow, told once it is over. */
  readonly over: Promise<boolean>;
}

function begun(connection: Connection, change: RequestChange = {}): Course {
  const { promise: over, resolve } = Promise.withResolvers<boolean>();
  return { response: connection.exchange(requestOf({ idleMs: LONG_MS, ...change }), resolve), over };
}

describe("a connection", () => {
  const servers: RawServer[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
  });

  async function serve(part: Part): Promise<RawServer> {
    const server = await RawServer.start(part);
    servers.push(server);
    return server;
  }
  const connectionTo = async (part: Part) => {
    const server = await serve(part);
    return dialPlain(server.destination, new AbortController().signal);
  };
  /** To a server that answers each request the same. */
  const answering = (answer: string) =>
    connectionTo(async peer => {
      for await (const _ of peer.heads()) await peer.send(answer);
    });
  /** To a server that says this to the first request, and then leaves the connection open. */
  const saying = (answer: string) =>
    connectionTo(async peer => {
      await peer.head();
      await peer.send(answer);
    });
  const peer = async () => (await servers.at(-1)?.peer()) ?? assert.fail("there is no server");
  /** Once the server has seen the connection's end. */
  const closed = async () => (await peer()).closed();

  /** The response is none, and the connection is not used again: we close it. */
  async function assertRefused({ response, over }: Course): Promise<void> {
    await assert.rejects(response, { name: "HttpError", code: "NotHttp" });
    assert.equal(await over, false);
    await closed();
  }

  it("sends the request as it was made, and brings status, headers and body", async () => {
    const { promise: seen, resolve } = Promise.withResolvers<string>();
    const connection = await connectionTo(async peer => {
      resolve(await peer.head());
      await peer.send("HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\ncontent-length: 2\r\n\r\nno");
    });
    const { response, over } = begun(connection, { target: "/v2/?n=1" });
    const { status, headers, body } = await response;
    assert.deepEqual([status, { ...headers }], [404, { "content-type": "text/plain", "content-length": "2" }]);
    assert.equal((await bytesOf({ body })).toString(), "no");
    assert.equal(await seen, "GET /v2/?n=1 HTTP/1.1\r\nhost: test\r\n\r\n");
    assert.equal(await over, true);
  });

  it("serves one request after the other", async () => {
    const connection = await answering(HELLO);
    for (let request = 0; request < 3; request += 1) {
      const { response, over } = begun(connection);
      assert.equal((await bytesOf(await response)).toString(), "hello");
      assert.equal(await over, true);
      connection.rest();
    }
    assert.equal(servers[0]?.peers.length, 1);
  });

  it("may be spoken to in bytes", async () => {
    const chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;a\r\nhello\r\n0\r\nb: c\r\n\r\n";
    const connection = await connectionTo(async peer => {
      for await (const _ of peer.heads()) await peer.drip(`HTTP/1.1 100 Continue\r\n\r\n${chunked}`);
    });
    for (let request = 0; request < 2; request += 1) {
      const { response, over } = begun(connection);
      assert.equal((await bytesOf(await response)).toString(), "hello");
      assert.equal(await over, true);
    }
  });

  describe("that brings other responses before the final one", () => {
    const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
    const HINTS = "HTTP/1.1 103 Early Hints\r\nlink: a\r\ncontent-length: 5\r\n\r\n";

    it("passes them over", async () => {
      const connection = await answering(`${CONTINUE}${HINTS}HTTP/1.1 199\r\n\r\n${HELLO}`);
      const { response, over } = begun(connection);
      const { status, headers, body } = await response;
      assert.deepEqual([status, { ...headers }], [200, { "content-length": "5" }]);
      assert.equal((await bytesOf({ body })).toString(), "hello");
      assert.equal(await over, true);
    });

    it("refuses them without end", async () => {
      const connection = await connectionTo(async peer => {
        await peer.head();
        await peer.repeat(CONTINUE);
      });
      await assertRefused(begun(connection));
    });

    for (const [what, head] of [
      ["are of HTTP/1.0", "HTTP/1.0 100 Continue\r\n"],
      ["end the connection", "HTTP/1.1 103\r\nconnection: close\r\n"],
      ["have two framings", "HTTP/1.1 103\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n"],
    ] as const) {
      it(`refuses those that ${what}`, async () => {
        await assertRefused(begun(await saying(`${head}\r\n${HELLO}`)));
      });
    }

    it("changes to no other protocol", async () => {
      const connection = await saying(`HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n${HELLO}`);
      await assertRefused(begun(connection));
    });
  });

  describe("to a server that doesn't speak HTTP/1.1", () => {
    const others: readonly (readonly [what: string, says: string])[] = [
      ["SSH", "SSH-2.0-OpenSSH_9.9\r\n"],
      ["SMTP", "220 mail.example ESMTP\r\n"],
      ["TLS", "\x15\x03\x01\x00\x02\x02\x46"],
      ["HTTP/2", "\x00\x00\x12\x04\x00\x00\x00\x00\x00"],
      ["a status line of HTTP/2", "HTTP/2 200 OK\r\n"],
      ["HTTP in lower case", "http/1.1 200 OK\r\n"],
      ["one byte", "\n"],
      ["another seventh byte", "HTTP/1;"],
    ];
    for (const [what, says] of others) {
      it(`doesn't wait for more: ${what}`, async () => {
        await assertRefused(begun(await saying(says)));
      });
    }

    it("hears one that speaks first", async () => {
      const connection = await connectionTo(peer => peer.send("SSH-2.0-OpenSSH_9.9\r\n"));
      await assert.rejects(begun(connection).response, { code: "NotHttp" });
    });

    const malformed: readonly (readonly [what: string, says: string])[] = [
      ["a head that has no end", `HTTP/1.1 200 OK\r\na: ${"x".repeat(16 * 1024)}`],
      ["fields that have no end", `HTTP/1.1 200 OK\r\n${"a: b\r\n".repeat(4 * 1024)}`],
      ["a malformed head", "HTTP/1.1 200 OK\r\na : b\r\n\r\n"],
      ["a malformed head before the final one", `HTTP/1.1 100\r\na : b\r\n\r\n${HELLO}`],
      ["something else before the final one", `HTTP/1.1 100\r\n\r\nSSH-2.0`],
      ["two framings", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"],
      ["no number of bytes", "HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\nhello"],
    ];
    for (const [what, says] of malformed) {
      it(`refuses ${what}`, async () => {
        await assertRefused(begun(await saying(says)));
      });
    }

    it("takes a head of 16 KiB, and no byte more", async () => {
      const head = (bytes: number) => {
        const [start, end] = ["HTTP/1.1 204 No Content\r\na: ", "\r\n\r\n"];
        return `${start}${"x".repeat(bytes - start.length - end.length)}${end}`;
      };
      assert.equal((await begun(await saying(head(16 * 1024))).response).status, 204);
      await assert.rejects(begun(await saying(head(16 * 1024 + 1))).response, { code: "NotHttp" });
    });
  });

  describe("to a server that closes it", () => {
    for (const says of ["", "HTTP/1.1 200 OK\r\na", "HTTP/1.1 100 Continue\r\n\r\n"]) {
      it(`fails without a final head: ${JSON.stringify(says)}`, async () => {
        const connection = await connectionTo(async peer => {
          await peer.head();
          peer.socket.end(says);
        });
        const { response, over } = begun(connection);
        await assert.rejects(response, { name: "HttpError", code: "Closed" });
        assert.equal(await over, false);
      });
    }

    it("fails in the middle of a body", async () => {
      const connection = await connectionTo(async peer => {
        await peer.head();
        peer.socket.end(HELLO.slice(0, -1));
      });
      const { response, over } = begun(connection);
      await assert.rejects(bytesOf(await response), { name: "HttpError", code: "Closed" });
      assert.equal(await over, false);
    });

    it("ends a body that has no other end, and is not used again", async () => {
      const connection = await connectionTo(async peer => {
        await peer.head();
        peer.socket.end("HTTP/1.1 200 OK\r\n\r\nhello");
      });
      const { response, over } = begun(connection);
      assert.equal((await bytesOf(await response)).toString(), "hello");
      assert.equal(await over, false);
    });

    it("is not used again where the server says that it will", async () => {
      for (const answer of [
        HELLO.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"),
        HELLO.replace("HTTP/1.1", "HTTP/1.0"),
      ]) {
        const { response, over } = begun(await answering(answer));
        assert.equal((await bytesOf(await response)).toString(), "hello");
        assert.equal(await over, false);
      }
    });
  });

  describe("to a server that falls silent", () => {
    const silent = { name: "HttpError", code: "Silent", message: "silent for 40 ms" };
    const idleMs = 40;

    for (const says of ["", "HTTP/1.1 2", "HTTP/1.1 100 Continue\r\n\r\n"]) {
      it(`ends without a final head: ${JSON.stringify(says)}`, async () => {
        const { response, over } = begun(await saying(says), { idleMs });
        await assert.rejects(response, silent);
        assert.equal(await over, false);
        await closed();
      });
    }

    for (const [what, says] of [
      ["of a length", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell"],
      ["in chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhell"],
      ["without an end", "HTTP/1.1 200 OK\r\n\r\nhell"],
    ] as const) {
      it(`ends in the middle of a body ${what}`, async () => {
        const { response, over } = begun(await saying(says), { idleMs });
        await assert.rejects(async () => bytesOf(await response), silent);
        assert.equal(await over, false);
        await closed();
      });
    }

    it("ends while it takes nothing of what is sent", async () => {
      const connection = await connectionTo(() => new Promise(() => {}));
      const { response, over } = begun(connection, { idleMs, method: "PUT", body: bodyOf(Buffer.alloc(32 * MIB)) });
      await assert.rejects(response, silent);
      assert.equal(await over, false);
    });

    it("bears one that is slow, however long it takes in all", async () => {
      const connection = await connectionTo(async peer => {
        await peer.head();
        for (const byte of HELLO) {
          await peer.send(byte);
          await new Promise(resolve => setTimeout(resolve, 10));
        }
      });
      const { response } = begun(connection, { idleMs: 250 });
      assert.equal((await bytesOf(await response)).toString(), "hello");
    });

    it("bears a reader that is slow itself", async () => {
      const patience = 150;
      const body = Buffer.alloc(MIB, "wasmount");
      const connection = await connectionTo(async peer => {
        await peer.head();
        await peer.send(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`);
        await peer.send(body);
      });
      const { response, over } = begun(connection, { idleMs: patience });
      let size = 0;
      for await (const piece of (await response).body.chunks()) {
        if (size === 0) await new Promise(resolve => setTimeout(resolve, 3.5 * patience));
        size += piece.length;
      }
      assert.equal(size, body.length);
      assert.equal(await over, true);
    });
  });

  describe("whose exchange is aborted", () => {
    const reason = new Error("enough");

    it("sends nothing where it was aborted before", async () => {
      const connection = await connectionTo(() => {});
      const { response, over } = begun(connection, { signal: AbortSignal.abort(reason) });
      await assert.rejects(response, reason);
      assert.equal(await over, false);
      await closed();
      assert.equal((await peer()).socket.bytesRead, 0);
    });

    it("ends while it waits for the answer", async () => {
      const stop = new AbortController();
      const connection = await connectionTo(async peer => {
        await peer.head();
        stop.abort(reason);
      });
      const { response, over } = begun(connection, { signal: stop.signal });
      await assert.rejects(response, reason);
      assert.equal(await over, false);
      await closed();
    });

    it("ends in the middle of a body, while it waits and while it doesn't", async () => {
      for (const isWaiting of [true, false]) {
        const stop = new AbortController();
        const connection = await saying("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nh\r\n");
        const { response, over } = begun(connection, { signal: stop.signal });
        const reading = (async () => {
          for await (const _ of (await response).body.chunks()) {
            if (isWaiting) setImmediate(() => stop.abort(reason));
            else stop.abort(reason);
          }
        })();
        await assert.rejects(reading, reason);
        assert.equal(await over, false);
        await closed();
      }
    });

    it("ends in the middle of what it sends", async () => {
      const stop = new AbortController();
      const connection = await connectionTo(async peer => {
        await peer.head();
        await peer.bytes(100_000);
        stop.abort(reason);
      });
      let isLeft = false;
      const body: RequestBody = {
        size: 64 * MIB,
        open: async function* () {
          try {
            for (let sent = 0; sent < 64; sent += 1) yield Buffer.alloc(MIB);
          } finally {
            isLeft = true;
          }
        },
      };
      const { response, over } = begun(connection, { method: "PUT", body, signal: stop.signal });
      await assert.rejects(response, reason);
      assert.equal(await over, false);
      await closed();
      assert.ok(isLeft);
    });

    it("is told nothing by a signal whose exchange is over", async () => {
      const stop = new AbortController();
      const connection = await answering(HELLO);
      const first = begun(connection, { signal: stop.signal });
      await bytesOf(await first.response);
      assert.equal(await first.over, true);
      stop.abort(reason);
      const second = begun(connection);
      assert.equal((await bytesOf(await second.response)).toString(), "hello");
    });
  });

  describe("that sends a body", () => {
    const CREATED = "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n";
    const put = (body: RequestBody): Pick<HttpRequest, "method" | "body"> => ({ method: "PUT", body });

    it("bears a source that is slower than a server may be silent", async () => {
      const connection = await connectionTo(async peer => {
        await peer.head();
        await peer.bytes(10);
        await peer.send(CREATED);
      });
      const body: RequestBody = {
        size: 10,
        open: async function* () {
          yield Buffer.from("hello");
          await new Promise(resolve => setTimeout(resolve, 300));
          yield Buffer.from("hello");
        },
      };
      assert.equal((await begun(connection, { ...put(body), idleMs: 50 }).response).status, 201);
    });

    it("sends it whole, no faster than the server takes it", async () => {
      const sent = Buffer.alloc(16 * MIB + 5);
      for (let at = 0; at < sent.length; at += 1009) sent[at] = at % 251;
      const { promise: taken, resolve } = Promise.withResolvers<Buffer>();
      const server = await serve(async peer => {
        await peer.head();
        const pieces: Buffer[] = [];
        for (let left = sent.length; left > 0; left -= pieces.at(-1)?.length ?? left) {
          pieces.push(await peer.bytes(Math.min(left, MIB)));
          for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
        }
        resolve(Buffer.concat(pieces));
        await peer.send(CREATED);
      });
      const socket = connect(server.port, "127.0.0.1");
      await once(socket, "connect");
      const inbound = new Inbound();
      inbound.attach(socket, true);
      let most = 0;
      const body: RequestBody = {
        size: sent.length,
        open: async function* () {
          for (let at = 0; at < sent.length; at += MIB) {
            most = Math.max(most, socket.writableLength);
            yield sent.subarray(at, at + MIB);
          }
        },
      };
      const { response, over } = begun(new Connection(socket, inbound), put(body));
      const { status, body: answer } = await response;
      answer.discard();
      assert.equal(status, 201);
      assert.ok((await taken).equals(sent));
      assert.ok(most <= 128 * 1024, `${most} bytes are held when more is asked for`);
      assert.equal(await over, true);
    });

    it("sends one of nothing", async () => {
      const { response, over } = begun(await answering(CREATED), put(bodyOf()));
      const { status, body } = await response;
      body.discard();
      assert.deepEqual([status, await over], [201, true]);
    });

    it("hears a server that answers before it has read it all, and is not used again", async () => {
      const connection = await connectionTo(async peer => {
        await peer.head();
        await peer.send("HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno");
        await read;
      });
      const { promise: read, resolve: readOn } = Promise.withResolvers<void>();
      const { promise: left, resolve: leave } = Promise.withResolvers<void>();
      const body: RequestBody = {
        size: 64 * MIB,
        open: async function* () {
          try {
            for (let sent = 0; sent < 64; sent += 1) yield Buffer.alloc(MIB);
          } finally {
            leave();
          }
        },
      };
      const { response, over } = begun(connection, put(body));
      const answer = await response;
      assert.equal(answer.status, 413);
      assert.equal((await bytesOf(answer)).toString(), "no");
      assert.equal(await over, false);
      assert.equal(connection.isUsable, false);
      await left;
      readOn();
      await closed();
    });

    it("is not used again while a body's source still has the last word", async () => {
      const { promise: more, resolve } = Promise.withResolvers<void>();
      const body: RequestBody = {
        size: 5,
        open: async function* () {
          yield Buffer.from("hello");
          await more;
        },
      };
      const { response, over } = begun(await answering(CREATED), put(body));
      (await response).body.discard();
      assert.equal(await over, false);
      resolve();
    });

    for (const [what, pieces] of [
      ["shorter", ["hell"]],
      ["shorter, for it is empty", []],
      ["longer", ["hello!"]],
      ["longer by a piece", ["hello", "!"]],
    ] as const) {
      it(`fails where the body is ${what} than announced`, async () => {
        const body = { ...bodyOf(...pieces.map(piece => Buffer.from(piece))), size: 5 };
        const connection = await connectionTo(async peer => {
          await peer.head();
          taken.resolve(await peer.bytes(100));
        });
        const taken = Promise.withResolvers<Buffer>();
        const { response, over } = begun(connection, put(body));
        await assert.rejects(response, { name: "HttpError", code: "BadRequest" });
        assert.equal(await over, false);
        assert.ok("hello".startsWith((await taken.promise).toString()), "nothing is sent that wasn't announced");
      });
    }

    it("fails as the body's source does", async () => {
      const broken = new Error("the disk is broken");
      const body: RequestBody = {
        size: 5,
        open: async function* () {
          yield Buffer.from("hell");
          throw broken;
        },
      };
      const { response, over } = begun(await saying(""), put(body));
      await assert.rejects(response, { name: "HttpError", code: "NoBody", cause: broken });
      assert.equal(await over, false);
      await closed();
    });
  });

  describe("whose answer has no body", () => {
    const cases: readonly (readonly [what: string, answer: string, method?: string])[] = [
      ["to HEAD, with a length", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", "HEAD"],
      ["to HEAD, with chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "HEAD"],
      ["to HEAD, with neither", "HTTP/1.1 200 OK\r\n\r\n", "HEAD"],
      ["of 204", "HTTP/1.1 204 No Content\r\n\r\n"],
      ["of 304 with a length", "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"],
    ];
    for (const [what, answer, method = "GET"] of cases) {
      it(`is used again: ${what}`, async () => {
        const connection = await answering(answer);
        for (const end of [bytesOf, async ({ body }: HttpResponse) => body.discard()]) {
          const { response, over } = begun(connection, { method });
          await end(await response);
          assert.equal(await over, true);
        }
      });
    }
  });

  describe("on which more comes than was asked for", () => {
    for (const [what, answer] of [
      ["behind a length", `${HELLO}H`],
      ["behind nothing", `HTTP/1.1 204 No Content\r\n\r\n${HELLO}`],
      ["behind chunks", `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n\r\n`],
    ] as const) {
      it(`is not used again: ${what}`, async () => {
        const connection = await saying(answer);
        const { response, over } = begun(connection);
        assert.ok(["hello", ""].includes((await bytesOf(await response)).toString()));
        assert.equal(await over, false);
        assert.equal(connection.isUsable, false);
      });
    }

    it("is not used again where it comes later", async () => {
      const connection = await saying(HELLO);
      const { response, over } = begun(connection);
      await bytesOf(await response);
      assert.equal(await over, true);
      connection.rest();
      assert.ok(connection.isUsable);
      await (await peer()).send(HELLO);
      while (connection.isUsable) await new Promise(setImmediate);
    });
  });

  describe("of whose body nothing is wanted", () => {
    const chunked = (bytes: number) =>
      `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${bytes.toString(16)}\r\n${"x".repeat(bytes)}\r\n0\r\n\r\n`;
    const sized = (bytes: number) => `HTTP/1.1 200 OK\r\ncontent-length: ${bytes}\r\n\r\n${"x".repeat(bytes)}`;
    const kept: readonly (readonly [what: string, answer: string])[] = [
      ["nothing", sized(0)],
      ["a length of 8 KiB", sized(8 * 1024)],
      ["chunks of nothing", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"],
      ["chunks of 8 KiB", chunked(8 * 1024)],
    ];
    for (const [what, answer] of kept) {
      it(`is used again behind ${what}`, async () => {
        const end = answer.indexOf("\r\n\r\n") + 4;
        const discarded: (() => void)[] = [];
        const connection = await connectionTo(async peer => {
          for await (const _ of peer.heads()) {
            await peer.send(answer.slice(0, end));
            await new Promise<void>(resolve => discarded.push(resolve));
            await peer.send(answer.slice(end));
          }
        });
        for (let request = 0; request < 2; request += 1) {
          const { response, over } = begun(connection);
          (await response).body.discard();
          while (discarded.length === 0) await new Promise(setImmediate);
          discarded.pop()?.();
          assert.equal(await over, true);
        }
      });
    }

    it("is used again, however often that is said", async () => {
      for (const answer of [sized(5), chunked(5)]) {
        const connection = await answering(answer);
        for (let request = 0; request < 2; request += 1) {
          const { response, over } = begun(connection);
          const { body } = await response;
          for (let time = 0; time < 3; time += 1) body.discard();
          assert.equal(await over, true);
          body.destroy();
        }
        assert.equal((await bytesOf(await begun(connection).response)).toString(), "xxxxx");
      }
    });

    const refused: readonly (readonly [what: string, answer: string])[] = [
      ["a length of more", "HTTP/1.1 200 OK\r\ncontent-length: 8193\r\n\r\n"],
      ["chunks of more", chunked(8 * 1024 + 1)],
      ["a body without an end", "HTTP/1.1 200 OK\r\n\r\n"],
      ["malformed chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nno\r\n"],
    ];
    for (const [what, answer] of refused) {
      it(`is closed behind ${what}`, async () => {
        const { response, over } = begun(await saying(answer));
        (await response).body.discard();
        assert.equal(await over, false);
        await closed();
      });
    }

    it("is closed behind chunks without end", async () => {
      const connection = await connectionTo(async peer => {
        await peer.head();
        await peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        await peer.repeat(`64\r\n${"x".repeat(100)}\r\n`);
      });
      const { response, over } = begun(connection);
      (await response).body.discard();
      assert.equal(await over, false);
      await closed();
    });

    it("is closed where the rest never comes", async () => {
      const { response, over } = begun(await saying("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell"), {
        idleMs: 40,
      });
      response.then(({ body }) => body.discard()).catch(() => {});
      assert.equal(await over, false);
    });

    it("is closed when its reader has enough", async () => {
      const { response, over } = begun(await saying("HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\nhello"));
      const { body } = await response;
      body.destroy();
      assert.equal(await over, false);
      await closed();
      const other = begun(await saying(chunked(5)));
      for await (const _ of (await other.response).body.chunks()) break;
      assert.equal(await other.over, false);
    });
  });
});
