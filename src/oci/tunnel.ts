import { connect, type Socket } from "node:net";
import { type Destination, standing } from "../http/dialling.ts";
import { HttpError } from "../http/error.ts";
import { requestHead } from "../http/request-head.ts";
import { HEAD_END, HEAD_START, MAX_HEAD_BYTES, readHead } from "../http/response-head.ts";
import { RegistryError } from "./error.ts";
import { errorCode } from "./failure.ts";
import { proxyAuthorization } from "./proxy.ts";

/**
 * A tunnel to a host through an HTTP proxy (CONNECT, RFC 9110 section 9.3.6). The proxy sees host and port, and no more.
 * @param proxy its URL, which may hold credentials; its own TLS goes by the public CAs
 * @param destination the proxy's
 * @param target the host's, as authorities are written: with its port
 * @throws {RegistryError} Unreachable, Timeout, ForbiddenAddress, naming the proxy; and the signal's reason
 */
export async function openTunnel(
  proxy: URL,
  destination: Destination,
  target: string,
  signal: AbortSignal,
): Promise<Socket> {
  let socket: Socket | null = null;
  try {
    socket = await proxySocket(proxy, destination, signal);
    const answer = await answered(socket, connectHead(proxy, target), signal);
    const { status } = readHead(answer.slice(0, answer.indexOf(HEAD_END) + HEAD_END.length));
    if (status === 407) throw unreachable(proxy, "wants other credentials (407)");
    if (status < 200 || status > 299) throw unreachable(proxy, `refuses the connection (${status})`);
    // What comes before our side of the handshake is not the server's.
    if (answer.indexOf(HEAD_END) + HEAD_END.length < answer.length) {
      throw unreachable(proxy, "sends what nobody asked for");
    }
    return socket;
  } catch (error) {
    socket?.destroy();
    if (signal.aborted || error instanceof RegistryError) throw error;
    if (!(error instanceof HttpError)) throw unreachable(proxy, `can't be reached (${errorCode(error)})`, error);
    if (error.code === "NotConnected") throw new RegistryError("Timeout", error.message, { cause: error });
    throw unreachable(proxy, error.code === "Closed" ? "closed the connection" : "doesn't speak HTTP/1.1", error);
  }
}

async function proxySocket(proxy: URL, destination: Destination, signal: AbortSignal): Promise<Socket> {
  if (proxy.protocol === "https:") {
    const { secureSocket } = await import("../http/secure-dialling.ts");
    return secureSocket(destination, {}, signal);
  }
  const { host, port, lookup, connectMs } = destination;
  return standing(connect({ host, port, lookup }), "connect", connectMs, signal);
}

function connectHead(proxy: URL, target: string): string {
  const authorization = proxyAuthorization(proxy);
  return requestHead("CONNECT", target, {
    host: target,
    ...(authorization === null ? {} : { "proxy-authorization": authorization }),
  });
}

/** All but 101, which would be an answer. */
const INTERIM = /^HTTP\/1\.1 1(?!01)\d\d /;

/** What a proxy says first, up to the end of its head at least. @throws {HttpError} NotHttp, Closed */
function answered(socket: Socket, head: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const settle = (failure: unknown) => {
      socket.off("readable", readable).off("error", settle).off("end", ended).off("close", ended);
      signal.removeEventListener("abort", aborted);
      if (failure === null) resolve(text);
      else reject(failure);
    };
    const readable = () => {
      for (let bytes: Buffer | null = socket.read(); bytes !== null; bytes = socket.read())
        text += bytes.toString("latin1");
      // Interim responses come before the one that counts.
      for (let interim = INTERIM.exec(text); interim?.input.includes(HEAD_END); interim = INTERIM.exec(text)) {
        text = text.slice(text.indexOf(HEAD_END) + HEAD_END.length);
      }
      if (text.includes(HEAD_END)) settle(null);
      else if (text.length > MAX_HEAD_BYTES || !HEAD_START.startsWith(text.slice(0, HEAD_START.length))) {
        settle(new HttpError("NotHttp", "it is no head of HTTP/1.1"));
      }
    };
    const ended = () => settle(new HttpError("Closed", "the connection was closed"));
    const aborted = () => settle(signal.reason);
    socket.on("readable", readable).once("error", settle).once("end", ended).once("close", ended);
    signal.addEventListener("abort", aborted, { once: true });
    if (signal.aborted) return aborted();
    socket.write(head, "latin1");
  });
}

function unreachable(proxy: URL, what: string, cause?: unknown): RegistryError {
  return new RegistryError("Unreachable", `the proxy ${proxy.host} ${what}`, { cause });
}
