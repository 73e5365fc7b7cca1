import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A replica, as endpoints know it. */
export interface Backend {
  readonly port: number;
  /** Answers 200 while the replica wants connections. */
  readonly readyUrl: string;
}

/** How often replicas are asked whether they are ready. A kubelet asks less often, and endpoints take a while on top. */
const PROBE_MS = 200;

/**
 * What a Service is to a webhook, where the cluster has no node whose kube-proxy could do it: each *new* connection goes
 * to one of the ready replicas in turn, and stays there. Connections are never retried, moved or looked into.
 */
export class TcpBalancer {
  readonly #server = createServer(socket => this.#hand(socket));
  readonly #backends = new Map<Backend, boolean>();
  readonly #sockets = new Set<Socket>();
  readonly #probing: NodeJS.Timeout;
  #turn = 0;

  constructor() {
    this.#probing = setInterval(() => this.#probe(), PROBE_MS);
  }

  async listen(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  /** Adds a replica that is ready. */
  add(backend: Backend): void {
    this.#backends.set(backend, true);
  }

  remove(backend: Backend): void {
    this.#backends.delete(backend);
  }

  async close(): Promise<void> {
    clearInterval(this.#probing);
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #hand(socket: Socket): void {
    const ready = [...this.#backends].filter(([, isReady]) => isReady);
    const [backend] = ready[this.#turn % ready.length] ?? [];
    this.#turn += 1;
    if (backend === undefined) {
      socket.destroy();
      return;
    }
    const onward = connect(backend.port, "127.0.0.1");
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      this.#sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroySoon();
      });
      one.pipe(other);
    }
  }

  #probe(): void {
    for (const backend of this.#backends.keys()) {
      fetch(backend.readyUrl, { signal: AbortSignal.timeout(PROBE_MS * 5) })
        .then(
          ({ ok }) => ok,
          () => false,
        )
        .then(isReady => {
          if (this.#backends.has(backend)) this.#backends.set(backend, isReady);
        });
    }
  }
}
