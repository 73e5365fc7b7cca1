import { connect, type LookupFunction, type Socket, type TcpNetConnectOpts } from "node:net";
import { Connection } from "./connection.ts";
import { HttpError } from "./error.ts";
import { Inbound } from "./inbound.ts";

/** Where a connection leads, and how long it may take to stand. */
export interface Destination {
  /** A name or an address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Asked for names, not for addresses. */
  readonly lookup: LookupFunction;
  /** In milliseconds, TLS included. */
  readonly connectMs: number;
}

/** A connection without TLS. @throws {HttpError} NotConnected, Closed, the system's errors and the signal's reason */
export async function dialPlain(destination: Destination, signal: AbortSignal): Promise<Connection> {
  const inbound = new Inbound();
  const { host, port, lookup, connectMs } = destination;
  const options: TcpNetConnectOpts = { host, port, lookup, onread: inbound.onread };
  const socket = await standing(connect(options), "connect", connectMs, signal);
  inbound.attach(socket);
  return new Connection(socket, inbound);
}

/**
 * A socket once it stands. One that doesn't is closed.
 * @param event by which it says so
 * @throws {HttpError} NotConnected, Closed, the system's errors and the signal's reason
 */
export function standing<Kind extends Socket>(
  socket: Kind,
  event: "connect" | "secureConnect",
  connectMs: number,
  signal: AbortSignal,
): Promise<Kind> {
  return new Promise((resolve, reject) => {
    const settled = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
      socket.off(event, stands).off("error", failed).off("close", closed);
    };
    const failed = (failure: unknown) => {
      settled();
      // What it says after that is of no interest any more.
      socket.on("error", () => {}).destroy();
      reject(failure);
    };
    const stands = () => {
      settled();
      resolve(socket);
    };
    const aborted = () => failed(signal.reason);
    const closed = () => failed(new HttpError("Closed", "the connection was closed"));
    const late = () => failed(new HttpError("NotConnected", `no connection within ${connectMs} ms`));
    const timer = setTimeout(late, connectMs);
    signal.addEventListener("abort", aborted, { once: true });
    socket.once(event, stands).once("error", failed).once("close", closed);
    if (signal.aborted) aborted();
  });
}
