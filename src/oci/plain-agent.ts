import { Agent } from "node:http";
import { connect, type NetConnectOpts, type Socket } from "node:net";
import type { Duplex } from "node:stream";

/** What one read from the system may bring, in bytes. */
const READ_BYTES = 256 * 1024;

/**
 * Connections without TLS that read into one buffer each. Node allocates 64 KiB for every read; for a large blob most of
 * the time then goes into fresh memory, which is garbage as soon as HTTP's parser has copied out of it.
 */
export class PlainAgent extends Agent {
  override createConnection(options: object, connected?: (error: Error | null, stream: Duplex) => void): Socket {
    let shared = Buffer.allocUnsafeSlow(READ_BYTES);
    const onread = {
      buffer: () => {
        // What nobody has taken yet lies in the buffer itself, and must not be overwritten.
        if (socket !== null && socket.readableLength > 0) shared = Buffer.allocUnsafeSlow(READ_BYTES);
        return shared;
      },
      // The bytes go the way that they go without `onread`: to the listeners of "data", which the parser is.
      callback: (length: number, buffer: Uint8Array) => socket?.push(buffer.subarray(0, length)) ?? false,
    };
    let socket: Socket | null = null;
    // The agent's options are those of a connection: it makes them for exactly this.
    socket = connect({ ...(options as NetConnectOpts), onread }, connected as () => void);
    return socket;
  }
}
