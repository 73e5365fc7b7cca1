import assert from "node:assert/strict";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { dialSecure } from "../../src/http/secure-dialling.ts";
import { openTunnel } from "../../src/oci/tunnel.ts";
import { type Part, type Peer, RawServer } from "../http/raw-server.ts";
import { bytesOf, requestOf } from "../http/requests.ts";
import { coded } from "./scripted-server.ts";
import { makeTrust } from "./secure-server.ts";

const TARGET = "registry.test:443";
const CONNECTED = "HTTP/1.1 200 Connected\r\n\r\n";
const HELLO = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
const SECRET = "hunter2";
const reason = new Error("enough");

describe("a tunnel", () => {
  const servers: RawServer[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
  });

  async function serve(...start: Parameters<typeof RawServer.start>): Promise<RawServer> {
    const server = await RawServer.start(...start);
    servers.push(server);
    return server;
  }
  const urlOf = ({ port }: RawServer, scheme = "http") => new URL(`${scheme}://user:${SECRET}@127.0.0.1:${port}`);
  const opened = (proxy: RawServer, signal = new AbortController().signal) =>
    openTunnel(urlOf(proxy), proxy.destination, TARGET, signal);
  /** A proxy that says this, and leaves the connection open. */
  const saying = (text: string) =>
    serve(async peer => {
      await peer.head();
      await peer.send(text);
    });

  it("is asked for by host and port, and begins behind the proxy's answer", async () => {
    const { promise: asked, resolve } = Promise.withResolvers<string>();
    const proxy = await serve(async peer => {
      resolve(await peer.head());
      await peer.send(CONNECTED);
      await peer.send(await peer.bytes(5));
    });
    const socket = await opened(proxy);
    assert.equal(
      await asked,
      `CONNECT ${TARGET} HTTP/1.1\r\nhost: ${TARGET}\r\nproxy-authorization: Basic ${btoa(`user:${SECRET}`)}\r\n\r\n`,
    );
    socket.write("hello");
    let text = "";
    for await (const piece of socket) {
      text += piece;
      if (text.length === 5) break;
    }
    assert.equal(text, "hello");
  });

  it("needs no credentials", async () => {
    const { promise: asked, resolve } = Promise.withResolvers<string>();
    const proxy = await serve(async peer => {
      resolve(await peer.head());
      await peer.send(CONNECTED);
    });
    const url = new URL(`http://127.0.0.1:${proxy.port}`);
    await openTunnel(url, proxy.destination, TARGET, new AbortController().signal);
    assert.equal(await asked, `CONNECT ${TARGET} HTTP/1.1\r\nhost: ${TARGET}\r\n\r\n`);
  });

  for (const answer of [
    CONNECTED,
    "HTTP/1.0 200 Connection established\r\n\r\n",
    "HTTP/1.1 200\r\nvia: a\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n",
    `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n${CONNECTED}`,
  ]) {
    it(`stands behind ${JSON.stringify(answer)}, in whatever pieces it comes`, async () => {
      for (const send of [(peer: Peer) => peer.send(answer), (peer: Peer) => peer.drip(answer)]) {
        const proxy = await serve(async peer => {
          await peer.head();
          await send(peer);
        });
        const socket = await opened(proxy);
        assert.ok(!socket.destroyed && socket.writable);
      }
    });
  }

  const refused: readonly (readonly [what: string, answer: string, message: RegExp])[] = [
    ["another protocol", "SSH-2.0-OpenSSH_9.9\r\n", /doesn't speak HTTP\/1\.1/],
    ["HTTP/2", "HTTP/2 200 OK\r\n", /doesn't speak HTTP\/1\.1/],
    ["another protocol behind an interim answer", "HTTP/1.1 100 Continue\r\n\r\nSSH", /doesn't speak HTTP\/1\.1/],
    ["a malformed field", "HTTP/1.1 200 OK\r\na : b\r\n\r\n", /doesn't speak HTTP\/1\.1/],
    ["a head without an end", `HTTP/1.1 200 OK\r\n${"a: b\r\n".repeat(4096)}`, /doesn't speak HTTP\/1\.1/],
    ["a line without an end", `HTTP/1.1 200 ${"x".repeat(20_000)}`, /doesn't speak HTTP\/1\.1/],
    ["a redirect", "HTTP/1.1 307 No\r\nlocation: http://other.test/\r\n\r\n", /refuses the connection \(307\)/],
    ["that it changes to another protocol", "HTTP/1.1 101 No\r\n\r\n", /refuses the connection \(101\)/],
    ["another answer behind it", `${CONNECTED}${CONNECTED}`, /sends what nobody asked for/],
    ["a byte behind it", `${CONNECTED}\x15`, /sends what nobody asked for/],
  ];
  for (const [what, answer, message] of refused) {
    it(`is refused where the proxy says ${what}, and its connection is closed`, async () => {
      const proxy = await saying(answer);
      await assert.rejects(opened(proxy), coded("Unreachable", message));
      await (await proxy.peer()).closed();
    });
  }

  for (const says of ["", "HTTP/1.1 200 Conn", CONNECTED.slice(0, -1)]) {
    it(`is refused where the proxy closes the connection behind ${JSON.stringify(says)}`, async () => {
      const proxy = await serve(async peer => {
        await peer.head();
        peer.socket.end(says);
      });
      await assert.rejects(opened(proxy), coded("Unreachable", /closed the connection/));
    });
  }

  it("is refused where the proxy resets the connection", async () => {
    const proxy = await serve(async peer => {
      await peer.head();
      peer.socket.resetAndDestroy();
    });
    await assert.rejects(opened(proxy), coded("Unreachable", /can't be reached \(ECONNRESET\)/));
  });

  it("ends when its signal does, and its connection with it", async () => {
    await assert.rejects(opened(await saying(""), AbortSignal.abort(reason)), reason);
    const stop = new AbortController();
    const proxy = await serve(async peer => {
      await peer.head();
      await peer.send(CONNECTED.slice(0, -1));
      stop.abort(reason);
    });
    await assert.rejects(opened(proxy, stop.signal), reason);
    await (await proxy.peer()).closed();
  });

  it("tells no password of the proxy's", async () => {
    for (const answer of ["HTTP/1.1 407 No\r\n\r\n", "SSH-2.0\r\n\r\n", "HTTP/1.1 403 No\r\n\r\n"]) {
      await assert.rejects(opened(await saying(answer)), ({ message, stack, cause }: Error) => {
        return ![message, stack, String(cause)].join().includes(SECRET);
      });
    }
  });

  describe("to a proxy that speaks TLS", () => {
    const authorities = getCACertificates("default");
    after(() => setDefaultCACertificates(authorities));

    it("leads to a registry by TLS inside it", async () => {
      const [outer, inner] = [await makeTrust(["127.0.0.1"]), await makeTrust(["registry.test"])];
      const terms = ({ server }: typeof outer) => ({ cert: server.certificate, key: server.privateKey });
      const hello: Part = async peer => {
        for await (const _ of peer.heads()) await peer.send(HELLO);
      };
      const registry = await serve(hello, terms(inner));
      const proxy = await serve(async peer => {
        await peer.head();
        await peer.send(CONNECTED);
        await peer.joined(registry.port);
      }, terms(outer));
      const { signal } = new AbortController();
      const tunnel = () => openTunnel(urlOf(proxy, "https"), proxy.destination, TARGET, signal);
      await assert.rejects(tunnel(), coded("Unreachable", /can't be reached \(.*(CERT|SIGNED|VERIFY)/));
      setDefaultCACertificates([outer.ca]);
      const destination = { ...proxy.destination, host: "registry.test" };
      const connection = await dialSecure(destination, { ca: inner.ca }, signal, {
        tunnel: await tunnel(),
      });
      for (let request = 0; request < 2; request += 1) {
        assert.equal((await bytesOf(await connection.exchange(requestOf(), () => {}))).toString(), "hello");
      }
      connection.destroy();
      for (const peer of proxy.peers) await peer.closed();
    });
  });
});
