import { Agent } from "node:http";
import { connect, type NetConnectOpts, type Socket } from "node:net";
import type { Duplex } from "node:stream";

/** What one read from the system may bring, in bytes. */
const READ_BYTES = 256 * 1024;

/** Takes what comes on a connection, in place of the connection's own readers. */
export interface Receiver {
  /** Where the next bytes go: at least one. */
  room(): Buffer;
  /** So many came. @returns whether more may come; if not, until the socket is resumed nothing does */
  received(length: number): boolean;
}

const receivers = new WeakMap<Duplex, Receiver>();
const plain = new WeakSet<Duplex>();

/**
 * From the next read on, all that comes on a connection of a `PlainAgent` goes to a receiver. Its errors and its end are
 * told as before.
 * @returns false for any other connection
 */
export function divert(socket: Duplex, receiver: Receiver): boolean {
  if (!plain.has(socket)) return false;
  receivers.set(socket, receiver);
  return true;
}

/**
 * Connections without TLS that read into one buffer each. Node allocates 64 KiB for every read; for a large blob most of
 * the time then goes into fresh memory, which is garbage as soon as HTTP's parser has copied out of it.
 */
export class PlainAgent extends Agent {
  override createConnection(options: object, connected?: (error: Error | null, stream: Duplex) => void): Socket {
    let shared = Buffer.allocUnsafeSlow(READ_BYTES);
    let socket: Socket | null = null;
    const onread = {
      // Asked for after each read, for the next one.
      buffer: () => {
        const receiver = socket && receivers.get(socket);
        if (receiver) return receiver.room();
        // What nobody has taken yet lies in the buffer itself, and must not be overwritten.
        if (socket !== null && socket.readableLength > 0) shared = Buffer.allocUnsafeSlow(READ_BYTES);
        return shared;
      },
      callback: (length: number, buffer: Uint8Array) => {
        if (socket === null) return false;
        const receiver = receivers.get(socket);
        // Without one, the bytes go the way that they go without `onread`: to the listeners of "data", which the parser is.
        return receiver ? receiver.received(length) : socket.push(buffer.subarray(0, length));
      },
    };
    // The agent's options are those of a connection: it makes them for exactly this.
    socket = connect({ ...(options as NetConnectOpts), onread }, connected as () => void);
    plain.add(socket);
    return socket;
  }
}
