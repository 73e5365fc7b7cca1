import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A TCP proxy that can be cut, as a server that is down would be. */
export interface TcpProxy {
  readonly port: number;
  /** Connections so far, those that were refused among them. */
  readonly connections: () => number;
  /** Breaks all connections, and from now on each new one as soon as it is there. */
  readonly cut: () => void;
  /** The same for callers from this address alone, as a network policy would do it. */
  readonly cutOff: (address: string) => void;
  readonly mend: () => void;
  readonly close: () => void;
}

/** @param address to listen on */
export async function startTcpProxy(target: URL, address = "127.0.0.1"): Promise<TcpProxy> {
  const open = new Set<Socket>();
  const cutOff = new Set<string | undefined>();
  let connections = 0;
  let isCut = false;
  const server = createServer(inner => {
    connections += 1;
    if (isCut || cutOff.has(inner.remoteAddress)) {
      inner.destroy();
      return;
    }
    const outer = connect(Number(target.port), target.hostname);
    for (const [one, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      open.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  server.listen(0, address);
  await once(server, "listening");
  const cut = () => {
    isCut = true;
    for (const socket of open) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => connections,
    cut,
    cutOff(from) {
      cutOff.add(from);
      for (const socket of open) if (socket.remoteAddress === from) socket.destroy();
    },
    mend() {
      isCut = false;
      cutOff.clear();
    },
    close() {
      cut();
      server.close();
    },
  };
}
