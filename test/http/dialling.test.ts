import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type LookupFunction, type Socket } from "node:net";
import type { TLSSocket, TlsOptions } from "node:tls";
import type { Connection } from "../../src/http/connection.ts";
import { type Destination, dialPlain } from "../../src/http/dialling.ts";
import { dialSecure, type SecureTerms, type SessionMemory } from "../../src/http/secure-dialling.ts";
import { makeTrust, type Trust } from "../oci/secure-server.ts";
import { type Part, RawServer } from "./raw-server.ts";
import { bodyOf, bytesOf, requestOf } from "./requests.ts";

const HELLO = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
const MIB = 1024 * 1024;
const BODY = randomBytes(8 * MIB + 17);
const reason = new Error("enough");
const notConnected = { name: "HttpError", code: "NotConnected", message: "no connection within 30 ms" };

const forever = () => new AbortController().signal;
/** Finds no address, ever. */
const searching = (() => {}) as unknown as LookupFunction;
/** Finds loopback, whatever the name. */
const loopback = ((_name: string, _options: unknown, callback: (error: null, found: unknown) => void) =>
  callback(null, [{ address: "127.0.0.1", family: 4 }])) as unknown as LookupFunction;

const hello: Part = async peer => {
  for await (const _ of peer.heads()) await peer.send(HELLO);
};
const large: Part = async peer => {
  for await (const _ of peer.heads()) {
    await peer.send(`HTTP/1.1 200 OK\r\ncontent-length: ${BODY.length}\r\n\r\n`);
    await peer.send(BODY);
  }
};

/** The number of bytes that are as they were sent, for a reader that takes its time. */
async function slowlyRead(connection: Connection): Promise<number> {
  const { body } = await connection.exchange(requestOf(), () => {});
  let size = 0;
  for await (const piece of body.chunks()) {
    await new Promise(resolve => setTimeout(resolve, 2));
    if (!piece.equals(BODY.subarray(size, size + piece.length))) return size;
    size += piece.length;
  }
  return size;
}

/** What nobody reads is not sent: much less than all that the server has. */
async function leavesUnread(dial: (part: Part) => Promise<Connection>): Promise<void> {
  let sent = 0;
  const connection = await dial(async peer => {
    await peer.head();
    await peer.send(`HTTP/1.1 200 OK\r\ncontent-length: ${64 * MIB}\r\n\r\n`);
    for (; sent < 64; sent += 1) await peer.send(BODY.subarray(0, MIB));
  });
  const { body } = await connection.exchange(requestOf(), () => {});
  for (let last = -1; last !== sent; ) {
    last = sent;
    for (let turn = 0; turn < 100; turn += 1) await new Promise(setImmediate);
  }
  assert.ok(sent < 32, `${sent} MiB are sent that nobody reads`);
  body.destroy();
}

describe("dialling", () => {
  const servers: RawServer[] = [];
  const sockets: Socket[] = [];
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) await server.close();
  });

  async function serve(part: Part, terms: TlsOptions | null = null): Promise<RawServer> {
    const server = await RawServer.start(part, terms);
    servers.push(server);
    return server;
  }

  async function refusing(): Promise<Destination> {
    const server = await RawServer.start(() => {});
    const { destination } = server;
    await server.close();
    return destination;
  }

  describe("without TLS", () => {
    it("makes a connection that stands", async () => {
      const connection = await dialPlain((await serve(hello)).destination, forever());
      assert.ok(connection.isUsable);
      assert.equal((await bytesOf(await connection.exchange(requestOf(), () => {}))).toString(), "hello");
    });

    it("goes where the name leads", async () => {
      const { destination } = await serve(hello);
      const connection = await dialPlain({ ...destination, host: "registry.test", lookup: loopback }, forever());
      assert.equal((await bytesOf(await connection.exchange(requestOf(), () => {}))).toString(), "hello");
    });

    it("brings a body that is read slowly, byte for byte", async () => {
      assert.equal(await slowlyRead(await dialPlain((await serve(large)).destination, forever())), BODY.length);
    });

    it("lets the server wait for a reader", () =>
      leavesUnread(async part => dialPlain((await serve(part)).destination, forever())));

    it("fails as the system says", async () => {
      await assert.rejects(dialPlain(await refusing(), forever()), { code: "ECONNREFUSED" });
      const failing = ((_name: string, _options: unknown, callback: (error: Error) => void) =>
        callback(reason)) as unknown as LookupFunction;
      const destination = { ...(await serve(hello)).destination, host: "registry.test", lookup: failing };
      await assert.rejects(dialPlain(destination, forever()), reason);
    });

    it("fails where no connection stands in time", async () => {
      const destination = { host: "registry.test", port: 443, lookup: searching, connectMs: 30 };
      await assert.rejects(dialPlain(destination, forever()), notConnected);
    });

    it("ends when its signal does, before or in the middle", async () => {
      const destination = { host: "registry.test", port: 443, lookup: searching, connectMs: 60_000 };
      await assert.rejects(dialPlain(destination, AbortSignal.abort(reason)), reason);
      const stop = new AbortController();
      const dialled = dialPlain(destination, stop.signal);
      stop.abort(reason);
      await assert.rejects(dialled, reason);
    });
  });

  describe("with TLS", () => {
    let trust: Trust;
    let other: Trust;
    before(async () => {
      trust = await makeTrust(["127.0.0.1", "registry.test"]);
      other = await makeTrust(["127.0.0.1", "registry.test"]);
    });

    const terms = ({ server }: Trust): TlsOptions => ({ cert: server.certificate, key: server.privateKey });
    const secure = (part: Part, more: TlsOptions = {}) => serve(part, { ...terms(trust), ...more });

    /** Each way to a server: to it, and through a socket that leads there. */
    const ways: readonly (readonly [what: string, tunnelTo: (server: RawServer) => Promise<Socket | undefined>])[] = [
      ["directly", async () => undefined],
      [
        "through a tunnel",
        async ({ port }) => {
          const tunnel = connect(port, "127.0.0.1");
          sockets.push(tunnel.on("error", () => {}));
          await once(tunnel, "connect");
          return tunnel;
        },
      ],
    ];
    for (const [what, tunnelTo] of ways) {
      describe(what, () => {
        const dial = async (
          server: RawServer,
          change: Partial<Destination> = {},
          terms: SecureTerms = { ca: trust.ca },
          signal = forever(),
          sessions?: SessionMemory,
        ) => {
          const tunnel = await tunnelTo(server);
          const way = { ...(tunnel && { tunnel }), ...(sessions && { sessions }) };
          return dialSecure({ ...server.destination, ...change }, terms, signal, way);
        };
        const named = { host: "registry.test", lookup: loopback };

        it("makes a connection that stands, and serves again and again", async () => {
          const server = await secure(hello);
          const connection = await dial(server);
          for (let request = 0; request < 3; request += 1) {
            assert.ok(connection.isUsable);
            assert.equal((await bytesOf(await connection.exchange(requestOf(), () => {}))).toString(), "hello");
            connection.rest();
          }
          assert.equal(server.peers.length, 1);
        });

        it("tells the server the host's name, and none where it is an address", async () => {
          const server = await secure(hello);
          for (const change of [named, {}]) await dial(server, change);
          const told = await Promise.all([0, 1].map(async at => (await server.peer(at)).socket as TLSSocket));
          assert.deepEqual(
            told.map(({ servername }) => servername),
            ["registry.test", false],
          );
        });

        it("speaks HTTP/1.1 and nothing else", async () => {
          const server = await secure(hello, { ALPNProtocols: ["h2", "http/1.1"] });
          await dial(server);
          assert.equal(((await server.peer()).socket as TLSSocket).alpnProtocol, "http/1.1");
          await assert.rejects(dial(await secure(hello, { ALPNProtocols: ["h2"] })), /alert no application protocol/i);
        });

        it("holds the server to the authorities that were named, and to its name", async () => {
          await assert.rejects(dial(await secure(hello), {}, { ca: other.ca }), /certificate/);
          await assert.rejects(dial(await secure(hello), { ...named, host: "other.test" }), {
            code: "ERR_TLS_CERT_ALTNAME_INVALID",
          });
        });

        it("brings a body byte for byte", async () => {
          const connection = await dial(await secure(large));
          const { promise: over, resolve } = Promise.withResolvers<boolean>();
          assert.ok((await bytesOf(await connection.exchange(requestOf(), resolve))).equals(BODY));
          assert.equal(await over, true);
        });

        it("brings a body that is read slowly, byte for byte", async () => {
          assert.equal(await slowlyRead(await dial(await secure(large))), BODY.length);
        });

        it("brings a body in small pieces that is read slowly, byte for byte", async () => {
          const small: Part = async peer => {
            await peer.head();
            await peer.send(`HTTP/1.1 200 OK\r\ncontent-length: ${BODY.length}\r\n\r\n`);
            for (let at = 0; at < BODY.length; at += 1009) peer.socket.write(BODY.subarray(at, at + 1009));
          };
          assert.equal(await slowlyRead(await dial(await secure(small))), BODY.length);
        });

        it("lets the server wait for a reader", () => leavesUnread(async part => dial(await secure(part))));

        it("takes a body byte for byte", async () => {
          const { promise: taken, resolve } = Promise.withResolvers<Buffer>();
          const server = await secure(async peer => {
            await peer.head();
            resolve(await peer.bytes(BODY.length));
            await peer.send("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n");
          });
          const request = requestOf({ method: "PUT", body: bodyOf(BODY) });
          const { status } = await (await dial(server)).exchange(request, () => {});
          assert.equal(status, 201);
          assert.ok((await taken).equals(BODY));
        });

        it("fails where it is not whole, though TLS says nothing of an end", async () => {
          const server = await secure(async peer => {
            await peer.head();
            await peer.send(HELLO.slice(0, -1));
            peer.socket.destroy();
          });
          const connection = await dial(server);
          await assert.rejects(async () => bytesOf(await connection.exchange(requestOf(), () => {})), {
            name: "HttpError",
            code: "Closed",
          });
        });

        it("fails where the server closes the connection before it stands", async () => {
          const server = await serve(peer => void peer.socket.destroy());
          await assert.rejects(dial(server), ({ code }: { code: string }) => ["ECONNRESET", "Closed"].includes(code));
        });

        it("fails where no connection stands in time, and leaves none", async () => {
          const server = await serve(() => {});
          await assert.rejects(dial(server, { connectMs: 30 }), notConnected);
          await (await server.peer()).closed();
        });

        it("ends when its signal does, and leaves no connection", async () => {
          const stop = new AbortController();
          const server = await serve(async peer => {
            await peer.bytes(1);
            stop.abort(reason);
          });
          await assert.rejects(dial(server, {}, { ca: trust.ca }, stop.signal), reason);
          await (await server.peer()).closed();
        });

        it("leaves no connection to a server that it doesn't trust", async () => {
          const server = await secure(hello);
          const relay = await serve(peer => peer.joined(server.port));
          await assert.rejects(dial(relay, {}, { ca: other.ca }), /certificate/);
          await (await relay.peer()).closed();
        });

        it("leaves no connection where our own certificate can't be used", async () => {
          const server = await secure(hello);
          const relay = await serve(peer => peer.joined(server.port));
          await assert.rejects(dial(relay, {}, { ca: trust.ca, cert: "no", key: "no" }), /PEM/);
          for (const peer of relay.peers) await peer.closed();
        });

        it("goes on with the session of an earlier connection", async () => {
          const server = await secure(hello);
          const kept: Buffer[] = [];
          const sessions = () => ({ session: kept.at(-1), keep: (session: Buffer) => void kept.push(session) });
          for (let at = 0; at < 2; at += 1) {
            const connection = await dial(server, {}, { ca: trust.ca }, forever(), sessions());
            assert.equal((await bytesOf(await connection.exchange(requestOf(), () => {}))).toString(), "hello");
          }
          const reused = await Promise.all([0, 1].map(async at => (await server.peer(at)).socket as TLSSocket));
          assert.deepEqual(
            reused.map(socket => socket.isSessionReused()),
            [false, true],
          );
        });

        it("holds another server to the authorities, whatever session there was", async () => {
          const kept: Buffer[] = [];
          const keep = (session: Buffer) => void kept.push(session);
          const first = await dial(await secure(hello), {}, { ca: trust.ca }, forever(), { session: undefined, keep });
          await bytesOf(await first.exchange(requestOf(), () => {}));
          const session = kept.at(-1) ?? assert.fail("there is no session");
          const stranger = await serve(hello, terms(other));
          const dialled = dial(stranger, {}, { ca: trust.ca }, forever(), { session, keep });
          await assert.rejects(dialled, /certificate/);
        });
      });
    }

    it("fails where the tunnel is closed already", async () => {
      const server = await secure(hello);
      const tunnel = connect(server.port, "127.0.0.1");
      await once(tunnel, "connect");
      tunnel.destroy();
      await assert.rejects(dialSecure(server.destination, { ca: trust.ca }, forever(), { tunnel }));
    });
  });
});
