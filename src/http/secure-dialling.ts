import { isIP, type OnReadOpts, type Socket } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { Connection } from "./connection.ts";
import { type Destination, standing } from "./dialling.ts";
import { Inbound } from "./inbound.ts";

/** Whom we believe, and what we prove ourselves with. */
export type SecureTerms = Pick<ConnectionOptions, "ca" | "cert" | "key" | "rejectUnauthorized">;

export interface SecureSocketOptions {
  /** A socket that leads there already. */
  readonly tunnel?: Socket;
  /** Where what comes is read to. */
  readonly onread?: OnReadOpts;
  /** The session of an earlier connection to the same place, on the same terms. */
  readonly session?: Buffer | undefined;
}

/** What an earlier connection to the same place left, and what this one leaves. */
export interface SessionMemory {
  readonly session: Buffer | undefined;
  keep(session: Buffer): void;
}

export interface SecureWay {
  /** A socket that leads there already, through a proxy. */
  readonly tunnel?: Socket;
  readonly sessions?: SessionMemory;
}

/**
 * A connection with TLS. Apart from the rest, and loaded when it is needed: TLS takes as long to load as all that a fetch
 * from a registry beside it needs besides.
 * @throws {HttpError} NotConnected, Closed; errors of the system and of TLS, and the signal's reason
 */
export async function dialSecure(
  destination: Destination,
  terms: SecureTerms,
  signal: AbortSignal,
  { tunnel, sessions }: SecureWay = {},
): Promise<Connection> {
  const inbound = new Inbound();
  const reading = tunnel ? { tunnel } : { onread: inbound.onread };
  const socket = await secureSocket(destination, terms, signal, { ...reading, session: sessions?.session });
  // Of TLS 1.3 it comes when the connection stands already.
  if (sessions) socket.on("session", sessions.keep);
  // Node heeds no `onread` of what goes through another socket (lib/internal/tls/wrap.js).
  inbound.attach(socket, tunnel !== undefined);
  return new Connection(socket, inbound);
}

/** A socket with TLS that stands. @throws as `dialSecure` */
export async function secureSocket(
  { host, port, lookup, connectMs }: Destination,
  terms: SecureTerms,
  signal: AbortSignal,
  { tunnel, onread, session }: SecureSocketOptions = {},
): Promise<TLSSocket> {
  const options = {
    ...terms,
    host,
    ...(tunnel ? { socket: tunnel } : { port, lookup }),
    // An address is no name that a server could choose its certificate by (RFC 6066 section 3).
    ...(isIP(host) === 0 && { servername: host }),
    ALPNProtocols: ["http/1.1"],
    ...(onread && { onread }),
    ...(session && { session }),
  };
  const socket = connected(options, tunnel);
  socket.once("close", () => tunnel?.destroy());
  return standing(socket, "secureConnect", connectMs, signal);
}

/** A certificate that OpenSSL doesn't take is told by an exception. */
function connected(options: ConnectionOptions, tunnel: Socket | undefined): TLSSocket {
  try {
    return connect(options);
  } catch (error) {
    tunnel?.on("error", () => {}).destroy();
    throw error;
  }
}
