import { createServer as createHttpServer, type IncomingMessage } from "node:http";
import { createServer } from "node:https";
import { type AddressInfo, connect, type Server } from "node:net";
import type { TLSSocket } from "node:tls";
import { type Credentials, createAuthority, issueServerCertificate } from "../../src/certs/authority.ts";

/** An authority and what it vouches for, made once for all tests that need it. */
export interface Trust {
  readonly ca: string;
  readonly server: Credentials;
}

export async function makeTrust(names: readonly [string, ...string[]]): Promise<Trust> {
  const authority = await createAuthority("test", 1, new Date());
  const server = await issueServerCertificate(authority, names, 1, new Date());
  return { ca: authority.certificate, server };
}

export interface Listening {
  readonly port: number;
  close(): Promise<void>;
}

/** What a TLS server saw of each request: its URL, and the subject of the client's certificate. */
export interface SeenSecurely {
  readonly url: string;
  readonly client: string | null;
  readonly headers: IncomingMessage["headers"];
}

/** A TLS server on loopback that answers every request with a body, and asks for a client certificate. */
export async function startSecure(
  { certificate, privateKey }: Credentials,
  body: Buffer,
  clientCa: string,
): Promise<Listening & { readonly seen: readonly SeenSecurely[] }> {
  const seen: SeenSecurely[] = [];
  const options = { cert: certificate, key: privateKey, requestCert: true, rejectUnauthorized: false, ca: clientCa };
  const server = createServer(options, (request, response) => {
    const { subject } = (request.socket as TLSSocket).getPeerCertificate();
    seen.push({ url: request.url ?? "", client: subject ? String(subject.CN) : null, headers: request.headers });
    response.writeHead(200, { "content-length": String(body.length) }).end(body);
  });
  return { ...(await listening(server)), seen };
}

/** What a proxy does with a connection: where it leads, or a status to refuse it with. */
export type Leads = (target: string) => number | null;

/** An HTTP proxy on loopback that leads every name to a port of loopback. */
export async function startProxy(
  leads: Leads,
  status = 200,
): Promise<Listening & { readonly seen: { readonly line: string; readonly headers: IncomingMessage["headers"] }[] }> {
  const seen: { line: string; headers: IncomingMessage["headers"] }[] = [];
  const server = createHttpServer((request, response) => {
    seen.push({ line: `${request.method} ${request.url}`, headers: request.headers });
    if (status !== 200) return void response.writeHead(status).end();
    const url = new URL(request.url ?? "");
    fetch(`http://127.0.0.1:${leads(url.host)}${url.pathname}`).then(async answer => {
      response.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer()));
    });
  });
  server.on("connect", (request, socket, head) => {
    const target = request.url ?? "";
    seen.push({ line: `CONNECT ${target}`, headers: request.headers });
    const port = leads(target);
    socket.on("error", () => {});
    if (status !== 200 || port === null) return void socket.end(`HTTP/1.1 ${status === 200 ? 502 : status} No\r\n\r\n`);
    const upstream = connect(port, "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 Connected\r\n\r\n");
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on("error", () => socket.destroy());
  });
  return { ...(await listening(server)), seen };
}

async function listening(server: Server & { closeAllConnections?(): void }): Promise<Listening> {
  const sockets = new Set<{ destroy(): unknown }>();
  server.on("connection", socket => void sockets.add(socket));
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
