import { Duplex } from "node:stream";
import type { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import { WebSocketHandler } from "@kubernetes/client-node/dist/web-socket-handler.js";
import { messageOf } from "../error.ts";
import { KubeError } from "./error.ts";

/** Channels of the first and only port (k8s.io/kubelet, portforward over WebSocket): its bytes, and its errors. */
const DATA = 0;
const ERROR = 1;
/** Each channel begins with the port's number in two bytes. */
const PORT_BYTES = 2;
const ERROR_CHARACTERS = 1024;

/**
 * A connection to a port of a pod, through its API server and kubelet. Nothing listens on this machine.
 * @throws KubeError Unreachable, Forbidden
 */
export async function portForward(
  kubeConfig: KubeConfig,
  { namespace, pod, port }: { readonly namespace: string; readonly pod: string; readonly port: number },
): Promise<Duplex> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/portforward?ports=${port}`;
  const heading = new Map<number, number>();
  const stream = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      socket.send(Buffer.concat([Buffer.of(DATA), chunk]), (error?: Error) => done(error ?? null));
    },
    final(done) {
      socket.close();
      done();
    },
    destroy(error, done) {
      socket?.close();
      done(error);
    },
  });
  // What the kubelet says may come before the connection is handed out.
  const receive = (channel: number, bytes: Buffer) => {
    const skipped = heading.get(channel) ?? 0;
    const head = Math.min(PORT_BYTES - skipped, bytes.length);
    heading.set(channel, skipped + head);
    const content = bytes.subarray(head);
    if (content.length === 0) return true;
    if (channel === DATA) stream.push(content);
    if (channel === ERROR) {
      stream.destroy(new KubeError("Unreachable", content.toString("utf8").slice(0, ERROR_CHARACTERS)));
    }
    return channel === DATA;
  };
  const socket = await new WebSocketHandler(kubeConfig).connect(path, null, receive).catch((error: unknown) => {
    const reason = reasonOf(error);
    // All that the client says of an answer that is no WebSocket.
    const code = /\b403$/.test(reason) ? "Forbidden" : "Unreachable";
    throw new KubeError(code, `port ${port} of pod ${pod} can't be reached: ${reason}`);
  });
  socket.addEventListener("close", () => stream.push(null));
  socket.addEventListener("error", () => stream.destroy(new KubeError("Unreachable", "the connection broke")));
  return stream;
}

/** The event of a WebSocket that failed holds its request, headers with credentials included: only its message is told. */
function reasonOf(event: unknown): string {
  return messageOf(event instanceof Error ? event : (event as { readonly message?: unknown })?.message);
}
