import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { TLSSocket } from "node:tls";
import type { Patience } from "./patience.ts";

interface Caller {
  /** The call under way, until its answer has ended. */
  request: IncomingMessage | null;
  /** What had come of the connection when it was last idle, in bytes. */
  bytes: number;
  /** Since when it has been what it is: idle, in its headers, or in a call. Milliseconds. */
  since: number;
  /** Whether it is known to be in its headers. */
  isSending: boolean;
  hasCalled: boolean;
}

/**
 * Cuts callers off that are slow with their headers or a body. Node's own timeouts count from the moment that a connection
 * is made, and end one that nothing has come of yet; an API server may call by it at that very moment (Go keeps a connection
 * that was dialled for a call which then got another), and the call would be lost. What is idle is left to the caller here.
 * @param now monotonic milliseconds
 */
export function watchCallers(server: Server, patience: Patience, now: () => number): void {
  const callers = new Map<TLSSocket, Caller>();
  server.on("secureConnection", (socket: TLSSocket) => {
    const caller = { request: null, bytes: socket.bytesRead, since: now(), isSending: false, hasCalled: false };
    callers.set(socket, caller);
    socket.once("close", () => callers.delete(socket));
  });
  server.prependListener("request", (request: IncomingMessage, response: ServerResponse) => {
    const socket = request.socket as TLSSocket;
    const caller = callers.get(socket);
    if (caller === undefined) return;
    Object.assign(caller, { request, since: now(), isSending: false, hasCalled: true });
    response.once("close", () => {
      Object.assign(caller, { request: null, since: now(), bytes: socket.bytesRead });
    });
  });
  const looking = setInterval(() => {
    const at = now();
    for (const [socket, caller] of callers) if (isOverdue(socket, caller, patience, at)) socket.destroy();
  }, patience.checkMs);
  looking.unref();
  server.once("close", () => clearInterval(looking));
}

function isOverdue(socket: TLSSocket, caller: Caller, patience: Patience, at: number): boolean {
  const { request, since, bytes, isSending, hasCalled } = caller;
  if (request !== null) return !request.complete && at - since > patience.requestMs;
  if (isSending) return at - since > patience.headersMs;
  if (socket.bytesRead > bytes) {
    Object.assign(caller, { isSending: true, since: at });
    return false;
  }
  // Between two calls Node waits as long by itself.
  return !hasCalled && at - since > patience.keepAliveMs;
}
