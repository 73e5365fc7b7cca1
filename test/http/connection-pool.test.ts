import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Connection, HttpResponse } from "../../src/http/connection.ts";
import { ConnectionPool, type Dial } from "../../src/http/connection-pool.ts";
import { dialPlain } from "../../src/http/dialling.ts";
import { type Part, type Peer, RawServer } from "./raw-server.ts";
import { bodyOf, bytesOf, type RequestChange, requestOf } from "./requests.ts";

const EMPTY = "HTTP/1.1 204 No Content\r\n\r\n";
const HELLO = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
const targetOf = (head: string) => head.split(" ")[1] ?? "";

/** A server that answers when it is told to. */
class Counter {
  /** What was asked for, in the order in which it came. */
  readonly seen: string[] = [];
  readonly #waiting = new Map<string, () => void>();
  #came: () => void = () => {};

  readonly part: Part = async peer => {
    for await (const head of peer.heads()) {
      const target = targetOf(head);
      const told = new Promise<void>(resolve => this.#waiting.set(target, resolve));
      this.seen.push(target);
      this.#came();
      await told;
      await peer.send(HELLO);
    }
  };

  /** Once so many requests have come. */
  async came(count: number): Promise<void> {
    while (this.seen.length < count) {
      await new Promise<void>(resolve => {
        this.#came = resolve;
      });
    }
  }

  answer(target: string | undefined): void {
    this.#waiting.get(target ?? "")?.();
  }

  /** Answers so many requests, each once it has come. */
  async answerAll(count: number): Promise<void> {
    for (let answered = 0; answered < count; answered += 1) {
      await this.came(answered + 1);
      this.answer(this.seen[answered]);
    }
  }
}

describe("a pool of connections", () => {
  const servers: RawServer[] = [];
  const pools: ConnectionPool[] = [];
  afterEach(async () => {
    for (const pool of pools.splice(0)) pool.close();
    for (const server of servers.splice(0)) await server.close();
  });

  async function serve(part: Part): Promise<RawServer> {
    const server = await RawServer.start(part);
    servers.push(server);
    return server;
  }
  function poolOf(max: number, maxIdle: number): ConnectionPool {
    const pool = new ConnectionPool(max, maxIdle);
    pools.push(pool);
    return pool;
  }
  const dialled =
    (server: RawServer): Dial =>
    signal =>
      dialPlain(server.destination, signal);
  const answering =
    (answer: string): Part =>
    async peer => {
      for await (const _ of peer.heads()) await peer.send(answer);
    };

  /** A pool for one server, whose connections can be looked at. */
  async function staged(part: Part, max = 2, maxIdle = 2) {
    const server = await serve(part);
    const pool = poolOf(max, maxIdle);
    const connections: Connection[] = [];
    const closings: Promise<void>[] = [];
    const dial: Dial = async signal => {
      const connection = await dialPlain(server.destination, signal);
      connections.push(connection);
      closings.push(new Promise(resolve => connection.onClose(resolve)));
      return connection;
    };
    const ask = (change: RequestChange = {}) => pool.exchange("a", dial, requestOf(change));
    /** Once the pool knows that its connections are closed, or one of them. */
    const gone = async (...which: readonly number[]) => {
      await Promise.all(which.length === 0 ? closings : which.map(at => closings[at] ?? assert.fail()));
    };
    return { server, pool, connections, gone, ask };
  }

  describe("uses a connection again", () => {
    it("for one request after the other", async () => {
      const { server, ask } = await staged(answering(HELLO));
      for (let request = 0; request < 5; request += 1) assert.equal((await bytesOf(await ask())).toString(), "hello");
      assert.equal(server.peers.length, 1);
    });

    it("behind a body that nobody wanted", async () => {
      const { server, ask } = await staged(answering(EMPTY));
      for (let request = 0; request < 5; request += 1) (await ask()).body.discard();
      assert.equal(server.peers.length, 1);
    });

    it("not before its body is read", async () => {
      const { server, ask } = await staged(answering(HELLO));
      const [first, second] = [await ask(), await ask()];
      assert.equal(server.peers.length, 2);
      assert.deepEqual([(await bytesOf(first)).toString(), (await bytesOf(second)).toString()], ["hello", "hello"]);
    });

    it("for no other place", async () => {
      const [one, other] = [await serve(answering(HELLO)), await serve(answering(HELLO))];
      const pool = poolOf(2, 2);
      for (const [key, server] of [
        ["one", one],
        ["other", other],
        ["one", one],
      ] as const) {
        await bytesOf(await pool.exchange(key, dialled(server), requestOf()));
      }
      assert.deepEqual([one.peers.length, other.peers.length], [1, 1]);
    });

    const lifetimes: readonly (readonly [value: string, connections: number])[] = [
      ["timeout=60", 1],
      ["timeout=5, max=100", 1],
      ["max=100", 1],
      ["timeout=1", 2],
      ["timeout=0", 2],
      ["max=100, timeout=1", 2],
      ["Timeout=1", 2],
    ];
    for (const [value, connections] of lifetimes) {
      it(`${connections === 1 ? "" : "not "}where the server says Keep-Alive: ${value}`, async () => {
        const { server, ask } = await staged(answering(HELLO.replace("\r\n", `\r\nKeep-Alive: ${value}\r\n`)));
        for (let request = 0; request < 2; request += 1) await bytesOf(await ask());
        assert.equal(server.peers.length, connections);
      });
    }

    it("and closes it a second before the server would", async () => {
      const { server, ask } = await staged(answering(HELLO.replace("\r\n", "\r\nKeep-Alive: timeout=2\r\n")));
      await bytesOf(await ask());
      const since = performance.now();
      await (await server.peer()).closed();
      const waited = performance.now() - since;
      assert.ok(waited > 500 && waited < 2000, `closed after ${waited} ms`);
    });

    for (const [what, answer] of [
      ["a second answer follows", HELLO + HELLO],
      ["the server says that it will close it", HELLO.replace("\r\n", "\r\nconnection: close\r\n")],
      ["the body ends with it", HELLO.replace("content-length", "x")],
    ] as const) {
      it(`not where ${what}`, async () => {
        const { server, gone, ask } = await staged(async peer => {
          await peer.head();
          await peer.send(answer);
          if (!answer.includes("content-length")) peer.socket.end();
        });
        for (let request = 0; request < 2; request += 1) await bytesOf(await ask());
        assert.equal(server.peers.length, 2);
        await gone();
      });
    }
  });

  describe("has a maximum", () => {
    it("for which requests wait in their order", async () => {
      const counter = new Counter();
      const { server, ask } = await staged(counter.part);
      const asked = ["/1", "/2", "/3", "/4", "/5"].map(target => ask({ target }).then(bytesOf));
      await counter.came(2);
      for (const [target, count] of [
        ["/2", 3],
        ["/1", 4],
        ["/3", 5],
        ["/5", 5],
        ["/4", 5],
      ] as const) {
        counter.answer(target);
        await counter.came(count);
      }
      await Promise.all(asked);
      assert.deepEqual(counter.seen.slice(2), ["/3", "/4", "/5"]);
      assert.equal(server.peers.length, 2);
    });

    it("which holds for one place", async () => {
      const counter = new Counter();
      const server = await serve(counter.part);
      const pool = poolOf(1, 1);
      const asked = ["a", "b"].map(key => pool.exchange(key, dialled(server), requestOf({ target: key })));
      await counter.came(2);
      for (const key of ["a", "b"]) counter.answer(key);
      await Promise.all(asked);
    });

    it("to which a connection no longer counts that is closed", async () => {
      const { server, ask } = await staged(answering("HTTP/1.1 200 OK\r\n\r\nhello"), 1);
      for (let request = 0; request < 3; request += 1) {
        const [first, second] = [ask(), ask()];
        (await first).body.destroy();
        (await second).body.destroy();
      }
      assert.equal(server.peers.length, 6);
    });

    it("to which a connection no longer counts that never stood", async () => {
      const server = await serve(answering(HELLO));
      const pool = poolOf(1, 1);
      const broken = new Error("no route");
      const refusing: Dial = () => new Promise((_, reject) => setImmediate(reject, broken));
      const failing = [0, 1, 2].map(() => pool.exchange("a", refusing, requestOf()));
      const last = pool.exchange("a", dialled(server), requestOf());
      for (const one of failing) await assert.rejects(one, broken);
      assert.equal((await bytesOf(await last)).toString(), "hello");
    });

    it("to which a connection no longer counts that stood for nobody", async () => {
      const stop = new AbortController();
      const { server, pool, ask } = await staged(answering(HELLO), 1);
      const late: Dial = async () => {
        const connection = await dialPlain(server.destination, new AbortController().signal);
        stop.abort();
        return connection;
      };
      const stopped = pool.exchange("a", late, requestOf({ signal: stop.signal }));
      const next = ask();
      await assert.rejects(stopped, { name: "AbortError" });
      assert.equal((await bytesOf(await next)).toString(), "hello");
      await (await server.peer()).closed();
    });

    it("for which nobody waits any longer who has had enough, and the others keep their order", async () => {
      const counter = new Counter();
      const { ask } = await staged(counter.part, 1, 1);
      const stop = new AbortController();
      const first = ask({ target: "/1" }).then(bytesOf);
      await counter.came(1);
      const stopped = ask({ target: "/stopped", signal: stop.signal });
      const others = ["/2", "/3", "/4"].map(target => ask({ target }).then(bytesOf));
      stop.abort();
      await assert.rejects(stopped, { name: "AbortError" });
      await counter.answerAll(4);
      await Promise.all([first, ...others]);
      assert.deepEqual(counter.seen, ["/1", "/2", "/3", "/4"]);
    });

    it("for which nobody waits who had enough before, and the others keep their order", async () => {
      const counter = new Counter();
      const { ask } = await staged(counter.part, 1, 1);
      const first = ask({ target: "/1" }).then(bytesOf);
      await counter.came(1);
      const others = ["/2", "/3"].map(target => ask({ target }).then(bytesOf));
      await assert.rejects(ask({ signal: AbortSignal.abort() }), { name: "AbortError" });
      await counter.answerAll(3);
      await Promise.all([first, ...others]);
      assert.deepEqual(counter.seen, ["/1", "/2", "/3"]);
    });

    it("for which the next one's turn comes where it was that of one who has had enough", async () => {
      const { ask } = await staged(answering(EMPTY), 1, 1);
      const stop = new AbortController();
      const first = await ask();
      const stopped = ask({ signal: stop.signal });
      const next = ask();
      // The turn is given while this goes on, and taken later.
      first.body.discard();
      stop.abort();
      await assert.rejects(stopped, { name: "AbortError" });
      assert.equal((await next).status, 204);
    });

    it("for which nobody waits in vain, whoever gives up when", async () => {
      const { ask } = await staged(answering(EMPTY), 2, 1);
      let answered = 0;
      for (let round = 0; round < 50; round += 1) {
        const stops = Array.from({ length: 6 }, () => new AbortController());
        const asked = stops.map(({ signal }) =>
          ask({ signal }).then(
            ({ body }: HttpResponse) => {
              answered += 1;
              body.discard();
            },
            () => {},
          ),
        );
        for (let turn = 0; turn < round % 5; turn += 1) await new Promise(setImmediate);
        for (const at of [round % 6, (round * 5 + 1) % 6]) stops[at]?.abort();
        await Promise.all(asked);
      }
      assert.ok(answered >= 50 * 4);
    });

    it("for which one who comes later doesn't overtake those that wait", async () => {
      const seen: string[] = [];
      const answering: Part = async peer => {
        for await (const head of peer.heads()) {
          seen.push(targetOf(head));
          await peer.send(EMPTY);
        }
      };
      const { ask } = await staged(answering, 1, 1);
      const first = await ask({ target: "/1" });
      const waiting = ["/2", "/3"].map(target => ask({ target }).then(bytesOf));
      first.body.discard();
      const later = ask({ target: "/4" }).then(bytesOf);
      await Promise.all([...waiting, later]);
      assert.deepEqual(seen, ["/1", "/2", "/3", "/4"]);
    });

    it("of which one who asks again and again leaves the others their share", async () => {
      const { ask } = await staged(answering(HELLO), 1, 1);
      let others = 0;
      const again = (async () => {
        for (let request = 0; request < 20; request += 1) {
          await bytesOf(await ask());
          if (request === 10) assert.equal(others, 2);
        }
      })();
      const waiting = [0, 1].map(async () => {
        await bytesOf(await ask());
        others += 1;
      });
      await Promise.all([again, ...waiting]);
    });
  });

  it("keeps no more idle connections than it may", async () => {
    const counter = new Counter();
    const { server, ask } = await staged(counter.part, 3, 1);
    const asked = ["/1", "/2", "/3"].map(target => ask({ target }).then(bytesOf));
    await counter.came(3);
    for (const target of ["/1", "/2", "/3"]) counter.answer(target);
    await Promise.all(asked);
    while (server.peers.filter(({ socket }) => socket.closed).length < 2) await new Promise(setImmediate);
    const another = ask({ target: "/4" });
    await counter.came(4);
    counter.answer("/4");
    await bytesOf(await another);
    assert.equal(server.peers.length, 3);
  });

  it("keeps none where it may keep none", async () => {
    const { server, gone, ask } = await staged(answering(HELLO), 2, 0);
    for (let request = 0; request < 2; request += 1) await bytesOf(await ask());
    assert.equal(server.peers.length, 2);
    await gone();
  });

  it("keeps one in use whatever became of idle ones", async () => {
    const { server, gone, ask } = await staged(answering(HELLO), 2, 1);
    const [first, second] = [await ask(), await ask()];
    await bytesOf(first);
    (await server.peer(0)).socket.end();
    await gone(0);
    await bytesOf(second);
    await bytesOf(await ask());
    assert.equal(server.peers.length, 2);
  });

  it("gives a connection to who waits for it, though it may keep none", async () => {
    const { server, ask } = await staged(answering(HELLO), 1, 0);
    const asked = [0, 1, 2].map(async () => bytesOf(await ask()));
    await Promise.all(asked);
    assert.equal(server.peers.length, 1);
  });

  describe("that is closed", () => {
    /** A server that answers the first request of a connection, and none after it. */
    const once: Part = async peer => {
      await peer.head();
      await peer.send(HELLO);
      await peer.head();
      asked.resolve();
    };
    let asked: PromiseWithResolvers<void>;
    beforeEach(() => {
      asked = Promise.withResolvers();
    });

    it("closes what waits for reuse", async () => {
      const { server, pool, ask } = await staged(answering(HELLO));
      await bytesOf(await ask());
      pool.close();
      await (await server.peer()).closed();
    });

    it("ends the bodies that are being read", async () => {
      const { pool, ask } = await staged(answering(HELLO.slice(0, -1)));
      const { body } = await ask();
      const reading = bytesOf({ body });
      pool.close();
      await assert.rejects(reading, { name: "HttpError", code: "Closed" });
    });

    it("ends requests that are not answered, and sends none of them once more", async () => {
      const { server, pool, ask } = await staged(once);
      await bytesOf(await ask());
      const waiting = assert.rejects(ask(), { name: "HttpError", code: "Closed" });
      await asked.promise;
      pool.close();
      await waiting;
      assert.equal(server.peers.length, 1);
    });

    it("keeps no connection that is being made", async () => {
      const server = await serve(answering(HELLO));
      const pool = poolOf(1, 1);
      const dial: Dial = async signal => {
        const connection = await dialPlain(server.destination, signal);
        pool.close();
        return connection;
      };
      await assert.rejects(pool.exchange("a", dial, requestOf()), { name: "HttpError", code: "Closed" });
      await (await server.peer()).closed();
    });

    it("makes no connection for requests that wait", async () => {
      const { server, pool, ask } = await staged(once, 1);
      await bytesOf(await ask());
      const failing = [0, 1].map(() => assert.rejects(ask({ method: "POST" })));
      await asked.promise;
      pool.close();
      await Promise.all(failing);
      assert.equal(server.peers.length, 1);
    });
  });

  describe("knows no more of a place", () => {
    it("whose connections are closed", async () => {
      const { pool, connections, gone, ask } = await staged(answering(HELLO));
      await bytesOf(await ask());
      assert.equal(pool.size, 1);
      connections[0]?.destroy();
      await gone(0);
      assert.equal(pool.size, 0);
    });

    it("to which there is no connection", async () => {
      const pool = poolOf(1, 1);
      const broken = new Error("no route");
      const asked = [0, 1].map(() => pool.exchange("a", () => Promise.reject(broken), requestOf()));
      for (const one of asked) await assert.rejects(one, broken);
      assert.equal(pool.size, 0);
    });

    it("of which nobody wants anything any longer", async () => {
      const { pool, ask } = await staged(answering(HELLO));
      await assert.rejects(ask({ signal: AbortSignal.abort() }), { name: "AbortError" });
      assert.equal(pool.size, 0);
    });

    it("whose connection was closed before its body was read", async () => {
      const { pool, gone, ask } = await staged(async peer => {
        await peer.head();
        peer.socket.end("HTTP/1.1 200 OK\r\n\r\nhello");
      });
      const response = await ask();
      await gone(0);
      assert.equal((await bytesOf(response)).toString(), "hello");
      assert.equal(pool.size, 0);
    });
  });

  describe("whose server closes a connection", () => {
    it("uses it no more", async () => {
      const { server, gone, ask } = await staged(async peer => {
        await peer.head();
        await peer.send(HELLO);
        peer.socket.end();
      });
      for (let request = 0; request < 3; request += 1) {
        await bytesOf(await ask({ method: "POST", body: bodyOf() }));
        await gone(request);
      }
      assert.equal(server.peers.length, 3);
    });

    it("uses none on which something came that nobody asked for", async () => {
      const { server, connections, gone, ask } = await staged(answering(HELLO));
      await bytesOf(await ask());
      await (await server.peer()).send("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n");
      while (connections[0]?.isUsable) await new Promise(setImmediate);
      assert.equal((await ask({ method: "POST" })).status, 200);
      assert.equal(server.peers.length, 2);
      await gone(0);
    });

    it("lets nobody wait for it while others are idle", async () => {
      const counter = new Counter();
      const { server, connections, ask } = await staged(counter.part);
      const idle = ["/1", "/2"].map(target => ask({ target }).then(bytesOf));
      await counter.came(2);
      for (const [at, target] of ["/1", "/2"].entries()) {
        counter.answer(target);
        await idle[at];
      }
      // It becomes of no use without being closed.
      await (await server.peer(1)).send(HELLO);
      while (connections[1]?.isUsable) await new Promise(setImmediate);
      const asked = ["/3", "/4"].map(target => ask({ target }).then(bytesOf));
      await counter.came(4);
      for (const target of ["/3", "/4"]) counter.answer(target);
      await Promise.all(asked);
    });

    /** Answers one request of each connection, and closes it at the next one in its own way. */
    const answeringOnce = (seen: string[], atNext: (peer: Peer) => unknown): Part => {
      return async peer => {
        seen.push((await peer.head()).slice(0, -4));
        await peer.send(HELLO);
        seen.push((await peer.head()).slice(0, -4));
        await atNext(peer);
      };
    };
    const ways: readonly (readonly [what: string, close: (peer: Peer) => unknown])[] = [
      ["closes", peer => void peer.socket.end()],
      ["resets", peer => void peer.socket.resetAndDestroy()],
    ];

    for (const [what, close] of ways) {
      for (const method of ["GET", "HEAD"]) {
        it(`sends ${method} once more where it ${what} it instead of an answer`, async () => {
          const seen: string[] = [];
          const { server, ask } = await staged(answeringOnce(seen, close));
          await bytesOf(await ask());
          const { status, body } = await ask({ method, target: "/again" });
          assert.equal(status, 200);
          body.destroy();
          assert.deepEqual(
            seen.map(head => head.split("\r\n")[0]),
            ["GET / HTTP/1.1", `${method} /again HTTP/1.1`, `${method} /again HTTP/1.1`],
          );
          assert.equal(server.peers.length, 2);
        });
      }

      for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
        it(`never sends ${method} once more where it ${what} it instead of an answer`, async () => {
          const seen: string[] = [];
          const { server, ask } = await staged(answeringOnce(seen, close));
          await bytesOf(await ask());
          await assert.rejects(ask({ method, body: bodyOf() }), { code: what === "closes" ? "Closed" : "ECONNRESET" });
          assert.equal(seen.length, 2);
          assert.equal(server.peers.length, 1);
        });
      }
    }

    it("sends nothing once more that was answered in part", async () => {
      const seen: string[] = [];
      const { server, ask } = await staged(answeringOnce(seen, peer => peer.socket.end("H")));
      await bytesOf(await ask());
      await assert.rejects(ask(), { name: "HttpError", code: "Closed" });
      assert.equal(server.peers.length, 1);
    });

    it("sends nothing more than once more", async () => {
      const seen: string[] = [];
      const { server, ask } = await staged(async peer => {
        const index = server.peers.indexOf(peer);
        for await (const head of peer.heads()) {
          seen.push(`${index} ${targetOf(head)}`);
          if (targetOf(head) === "/again") peer.socket.end();
          else await peer.send(HELLO);
        }
      });
      const [first, second] = [await ask(), await ask()];
      for (const response of [first, second]) await bytesOf(response);
      await assert.rejects(ask({ target: "/again" }), { name: "HttpError", code: "Closed" });
      assert.equal(seen.filter(head => head.endsWith("/again")).length, 2);
      assert.equal(seen.at(-1), "2 /again");
    });

    it("sends nothing once more because the server is silent", async () => {
      const seen: string[] = [];
      const { server, ask } = await staged(answeringOnce(seen, () => {}));
      await bytesOf(await ask());
      await assert.rejects(ask({ idleMs: 40 }), { name: "HttpError", code: "Silent" });
      assert.equal(server.peers.length, 1);
    });

    it("sends nothing once more over a connection that is new", async () => {
      const { server, ask } = await staged(async peer => {
        await peer.head();
        peer.socket.end();
      });
      await assert.rejects(ask(), { name: "HttpError", code: "Closed" });
      assert.equal(server.peers.length, 1);
    });

    it("sends nothing once more that is no longer wanted", async () => {
      const stop = new AbortController();
      const { server, ask } = await staged(answeringOnce([], () => stop.abort()));
      await bytesOf(await ask());
      await assert.rejects(ask({ signal: stop.signal }), { name: "AbortError" });
      assert.equal(server.peers.length, 1);
    });
  });

  it("keeps a process alive while it waits for an answer, and not by what waits for reuse", async () => {
    const { port } = await serve(async peer => {
      for await (const _ of peer.heads()) {
        await new Promise(resolve => setTimeout(resolve, 50));
        await peer.send(HELLO);
      }
    });
    const script = `
      import { lookup } from "node:dns";
      import { ConnectionPool } from ${JSON.stringify(import.meta.resolve("../../src/http/connection-pool.ts"))};
      import { dialPlain } from ${JSON.stringify(import.meta.resolve("../../src/http/dialling.ts"))};
      const pool = new ConnectionPool(2, 2);
      const dial = signal => dialPlain({ host: "127.0.0.1", port: ${port}, lookup, connectMs: 5000 }, signal);
      const { signal } = new AbortController();
      const head = "GET / HTTP/1.1\\r\\nhost: test\\r\\n\\r\\n";
      for (const request of [1, 2]) {
        const { body } = await pool.exchange("a", dial, { method: "GET", head, body: null, idleMs: 5000, signal });
        for await (const piece of body.chunks()) console.log(request, piece.toString());
      }
    `;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--input-type=module", "--eval", script],
      // It ends by itself long before: a connection waits half a minute for reuse.
      { timeout: 8_000 },
    );
    assert.equal(stdout, "1 hello\n2 hello\n");
    assert.equal(servers[0]?.peers.length, 1);
  });
});
