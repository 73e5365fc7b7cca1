import { lookup } from "node:dns";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createSecureServer, type TlsOptions } from "node:tls";
import type { Destination } from "../../src/http/dialling.ts";
import { HEAD_END } from "../../src/http/response-head.ts";

/** What a server does with a connection. What it doesn't ask for is not read until it is done. */
export type Part = (peer: Peer) => unknown;

/** A connection, as the server has it. */
export class Peer {
  readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket.on("error", () => {});
  }

  /** The heads of requests, one after the other, until the client closes. Bodies are to be read in between. */
  async *heads(): AsyncGenerator<string, void, undefined> {
    for (let text = ""; ; ) {
      const piece = await this.#read();
      if (piece === null) return;
      text += piece.toString("latin1");
      const end = text.indexOf(HEAD_END);
      if (end < 0) continue;
      const head = text.slice(0, end + HEAD_END.length);
      this.socket.unshift(text.slice(head.length), "latin1");
      text = "";
      yield head;
    }
  }

  /** The next head. */
  async head(): Promise<string> {
    for await (const head of this.heads()) return head;
    throw new Error("the client closed the connection");
  }

  /** So many bytes, or fewer where the client closes. */
  async bytes(size: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (let left = size; left > 0; ) {
      const piece = await this.#read(left);
      if (piece === null) break;
      pieces.push(piece);
      left -= piece.length;
    }
    return Buffer.concat(pieces);
  }

  /** @returns once the bytes are on their way */
  async send(bytes: string | Buffer): Promise<void> {
    await new Promise(resolve => this.socket.write(bytes as string, "latin1", resolve));
  }

  /** Byte by byte. */
  async drip(text: string): Promise<void> {
    for (const byte of text) {
      await this.send(byte);
      await new Promise(setImmediate);
    }
  }

  /** The same again and again, until the client closes. */
  async repeat(text: string): Promise<void> {
    while (!this.socket.destroyed) {
      await this.send(text);
      await new Promise(setImmediate);
    }
  }

  /** From now on one connection with a port of loopback. @returns once both are closed */
  async joined(port: number): Promise<void> {
    const other = connect(port, "127.0.0.1").on("error", () => {});
    this.socket.pipe(other).pipe(this.socket);
    await Promise.all([this.socket, other].map(socket => new Promise(resolve => socket.once("close", resolve))));
  }

  /** @returns once the connection is closed */
  async closed(): Promise<void> {
    if (!this.socket.closed) await new Promise(resolve => this.socket.once("close", resolve));
  }

  async #read(limit = Number.POSITIVE_INFINITY): Promise<Buffer | null> {
    const { socket } = this;
    while (socket.readableLength === 0) {
      if (socket.readableEnded || socket.destroyed) return null;
      await new Promise<void>(resolve => {
        const done = () => {
          socket.off("readable", done).off("end", done).off("close", done);
          resolve();
        };
        socket.on("readable", done).on("end", done).on("close", done);
      });
    }
    return socket.read(Math.min(limit, socket.readableLength));
  }
}

/** A server of TCP, or TLS, on loopback that says, byte for byte, what it is told to. */
export class RawServer {
  /** In the order in which they came. */
  readonly peers: Peer[] = [];
  readonly #server: Server;
  readonly #stands: "connection" | "secureConnection";
  readonly #sockets: Socket[] = [];

  private constructor(part: Part, terms: TlsOptions | null) {
    this.#server = terms === null ? createServer({ noDelay: true }) : createSecureServer({ noDelay: true, ...terms });
    this.#stands = terms === null ? "connection" : "secureConnection";
    this.#server.on("connection", socket => void this.#sockets.push(socket));
    this.#server.on(this.#stands, async (socket: Socket) => {
      const peer = new Peer(socket);
      this.peers.push(peer);
      try {
        await part(peer);
      } catch (error) {
        if (!socket.readableEnded && !socket.destroyed) throw error;
      }
      socket.resume();
    });
  }

  static async start(part: Part, terms: TlsOptions | null = null): Promise<RawServer> {
    const server = new RawServer(part, terms);
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get destination(): Destination {
    return { host: "127.0.0.1", port: this.port, lookup, connectMs: 5_000 };
  }

  /** The connection that came as the n-th, once it stands. */
  async peer(index = 0): Promise<Peer> {
    for (;;) {
      const peer = this.peers[index];
      if (peer !== undefined) return peer;
      await once(this.#server, this.#stands);
    }
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
