import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { doneWithin } from "../abort.ts";
import type { Patience } from "./patience.ts";

/** Those who call a server, or may. */
export interface Callers {
  /** From now on each connection ends with its next answer. */
  lastCalls(): void;
  /** Waits until there are no connections, or so long. */
  gone(patienceMs: number): Promise<void>;
}

interface Caller {
  /** The call under way, until its answer has ended. */
  call: { readonly request: IncomingMessage; readonly response: ServerResponse } | null;
  /** What had come of the connection when it was last idle, in bytes. */
  bytes: number;
  /** Since when it has been what it is: idle, in its headers, or in a call. Milliseconds. */
  since: number;
  /** Whether it is known to be in its headers. */
  isSending: boolean;
  hasCalled: boolean;
}

/**
 * Knows a server's callers, and cuts those off that are slow with their headers or a body. Node's own timeouts count from the moment that a connection
 * is made, and end one that nothing has come of yet; an API server may call by it at that very moment (Go keeps a connection
 * that was dialled for a call which then got another), and the call would be lost. What is idle is left to the caller here.
 * @param now monotonic milliseconds
 */
export function watchCallers(server: Server, patience: Patience, now: () => number): Callers {
  const callers = new Map<TLSSocket, Caller>();
  // Beside them those that are still in their handshake.
  let connections = 0;
  let last = () => {};
  let isLast = false;
  server.on("connection", (socket: Socket) => {
    connections += 1;
    socket.once("close", () => {
      connections -= 1;
      if (connections === 0) last();
    });
  });
  server.on("secureConnection", (socket: TLSSocket) => {
    const caller = { call: null, bytes: socket.bytesRead, since: now(), isSending: false, hasCalled: false };
    callers.set(socket, caller);
    socket.once("close", () => callers.delete(socket));
  });
  server.prependListener("request", (request: IncomingMessage, response: ServerResponse) => {
    if (isLast) response.setHeader("connection", "close");
    const socket = request.socket as TLSSocket;
    const caller = callers.get(socket);
    if (caller === undefined) return;
    Object.assign(caller, { call: { request, response }, since: now(), isSending: false, hasCalled: true });
    response.once("close", () => {
      Object.assign(caller, { call: null, since: now(), bytes: socket.bytesRead });
    });
  });
  const looking = setInterval(() => {
    const at = now();
    for (const [socket, caller] of callers) if (isOverdue(socket, caller, patience, at)) socket.destroy();
  }, patience.checkMs);
  looking.unref();
  server.once("close", () => clearInterval(looking));
  return {
    lastCalls() {
      isLast = true;
      for (const { call } of callers.values()) {
        if (call !== null && !call.response.headersSent) call.response.setHeader("connection", "close");
      }
    },
    async gone(patienceMs) {
      if (connections === 0) return;
      const gone = new Promise<void>(resolve => {
        last = resolve;
      });
      await doneWithin(patienceMs, gone);
    },
  };
}

function isOverdue(socket: TLSSocket, caller: Caller, patience: Patience, at: number): boolean {
  const { call, since, bytes, isSending, hasCalled } = caller;
  if (call !== null) return !call.request.complete && at - since > patience.requestMs;
  if (isSending) return at - since > patience.headersMs;
  if (socket.bytesRead > bytes) {
    Object.assign(caller, { isSending: true, since: at });
    return false;
  }
  // Between two calls Node waits as long by itself.
  return !hasCalled && at - since > patience.keepAliveMs;
}
