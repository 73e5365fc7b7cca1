import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { RegistryClient } from "../../src/oci/client.ts";
import type { RegistryClientOptions } from "../../src/oci/options.ts";

export type Script = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly authorization: string | null;
  readonly body: Buffer;
}

/** A server on loopback that does what its script says, however wrong. */
export interface ScriptedServer {
  /** "127.0.0.1:<port>" */
  readonly address: string;
  readonly seen: readonly Seen[];
  close(): Promise<void>;
}

export async function startScripted(script: Script): Promise<ScriptedServer> {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const { method = "", url = "", headers } = request;
    seen.push({ method, url, authorization: headers.authorization ?? null, body });
    script(request, response, body);
  });
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: `127.0.0.1:${port}`,
    seen,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Servers and clients of one test, closed together. */
export class Stage {
  readonly #closing: (() => unknown)[] = [];

  async serve(script: Script): Promise<ScriptedServer> {
    const server = await startScripted(script);
    this.#closing.push(() => server.close());
    return server;
  }

  /** A client that may speak plain HTTP to these servers, waits for nothing and has no luck. */
  client(servers: readonly { readonly address: string }[], options: RegistryClientOptions = {}): RegistryClient {
    const client = new RegistryClient({
      registries: servers.map(({ address }) => ({ host: address, plainHttp: true })),
      random: () => 0,
      sleep: async () => {},
      deadlineMs: 5_000,
      ...options,
    });
    this.#closing.push(() => client.close());
    return client;
  }

  async clear(): Promise<void> {
    for (const close of this.#closing.splice(0)) await close();
  }
}

/** The matcher for assert.rejects: an error of the name and code given. */
export function coded(code: string, message?: RegExp): (error: unknown) => boolean {
  return error => {
    if (!(error instanceof Error) || !("code" in error)) throw error;
    if (error.code !== code) throw new Error(`expected ${code}, got ${error.code}: ${error.message}`, { cause: error });
    if (message && !message.test(error.message)) throw new Error(`unexpected message: ${error.message}`);
    return true;
  };
}

export async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}
