import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { KubeConfig } from "@kubernetes/client-node";
import { until } from "../environment/until.ts";

export type Answer = (response: ServerResponse, url: URL) => void;

/** What an API server that misbehaves on purpose answers, in order; the last answer of a kind is repeated. */
export interface Script {
  readonly lists?: readonly Answer[];
  readonly watches?: readonly Answer[];
  readonly reads?: readonly Answer[];
}

/** An API server with one collection. */
export class ScriptedApi {
  /** Every request so far, oldest first. */
  readonly asked: URL[] = [];
  readonly #server: Server;
  readonly #path: string;

  /** @param path the collection; everything else counts as a read of one object */
  constructor(path: string, script: Script) {
    this.#path = path;
    const counts = { lists: 0, watches: 0, reads: 0 };
    this.#server = createServer((request, response) => {
      const url = new URL(request.url ?? "/", "http://api");
      this.asked.push(url);
      const kind = url.pathname !== path ? "reads" : url.searchParams.has("watch") ? "watches" : "lists";
      const answers = script[kind] ?? [];
      const answer = answers[Math.min(counts[kind], answers.length - 1)] ?? status(404);
      counts[kind] += 1;
      answer(response, url);
    });
  }

  /** Starts to listen. */
  async open(): Promise<KubeConfig> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    const kubeConfig = new KubeConfig();
    const address = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    kubeConfig.loadFromClusterAndUser({ name: "c", server: address, skipTLSVerify: true }, { name: "u", token: "t" });
    return kubeConfig;
  }

  /** Breaks all connections. */
  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** Accepts no more connections, and waits for the client to end those there are. */
  async drained(): Promise<void> {
    await new Promise(resolve => this.#server.close(resolve));
  }

  get lists(): readonly URL[] {
    return this.asked.filter(url => url.pathname === this.#path && !url.searchParams.has("watch"));
  }

  get watches(): readonly URL[] {
    return this.asked.filter(url => url.pathname === this.#path && url.searchParams.has("watch"));
  }

  get reads(): readonly URL[] {
    return this.asked.filter(url => url.pathname !== this.#path);
  }
}

/** Waits until something holds; an error is thrown at once. @param state told where it never does */
export async function untilTrue(holds: () => boolean | Promise<boolean>, state: () => string): Promise<void> {
  await until(() => `what never came; ${state()}`, holds, { seconds: 8, pauseMs: 5, bears: () => false });
}

export const list =
  (version: number, items: readonly object[], next = ""): Answer =>
  response =>
    response.end(
      JSON.stringify({
        kind: "PartialObjectMetadataList",
        metadata: { resourceVersion: String(version), continue: next },
        items,
      }),
    );

export const event = (type: string, content: unknown) => `${JSON.stringify({ type, object: content })}\n`;

export const status =
  (code: number): Answer =>
  response => {
    response.statusCode = code;
    response.end("{}");
  };

/** Says these lines, and keeps the answer open. */
export const hold =
  (...lines: readonly string[]): Answer =>
  response => {
    response.flushHeaders();
    for (const line of lines) response.write(line);
  };

/** Says these lines, and ends the connection in the middle of the answer. */
export const cut =
  (...lines: readonly string[]): Answer =>
  response => {
    response.flushHeaders();
    for (const line of lines) response.write(line);
    // What is written goes out before the end does.
    response.socket?.end();
  };
