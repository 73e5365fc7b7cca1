import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { answer, type Exchange, Refusal, refuse } from "./answer.ts";
import { serveBlob } from "./blobs.ts";
import { Content, type Habits } from "./content.ts";
import { listReferrers, listTags } from "./listings.ts";
import { serveManifest } from "./manifests.ts";
import { continueUpload, startUpload } from "./uploads.ts";

/** A registry by distribution-spec 1.1, in this process and in memory. */
export interface Registry {
  /** "127.0.0.1:<port>", as references spell it. */
  readonly address: string;
  /** Every request so far, "GET /v2/…", oldest first. */
  readonly requests: readonly string[];
  /** Replaces the stored bytes of a blob or manifest, in every repository, under the digest they no longer have. */
  corrupt(digest: string, change: (bytes: Buffer) => Buffer): void;
  close(): Promise<void>;
}

export interface RegistryOptions {
  /** 0, the default, takes any free port. */
  readonly port?: number;
  readonly host?: string;
  /** Asks for these credentials (Basic) where given. */
  readonly login?: { readonly username: string; readonly password: string };
  readonly habits?: Partial<Habits>;
}

const MAX_BODY = 256 * 1024 * 1024;
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;

export async function startRegistry(options: RegistryOptions = {}): Promise<Registry> {
  const { port = 0, host = "127.0.0.1" } = options;
  const content = new Content({ sparse: false, referrersPage: Number.POSITIVE_INFINITY, ...options.habits });
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    serve(request, response, content, options).catch(error => response.destroy(error));
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, host, resolve));
  const { port: bound } = server.address() as AddressInfo;
  return {
    address: `${host}:${bound}`,
    requests,
    corrupt: (digest, change) => corrupt(content, digest, change),
    close: () => close(server),
  };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  content: Content,
  { login }: RegistryOptions,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://registry.invalid");
  const { method = "GET", headers } = request;
  const body = await bodyOf(request);
  const exchange: Exchange = { method, query: url.searchParams, headers, body, response };
  try {
    const expected = login && `Basic ${Buffer.from(`${login.username}:${login.password}`).toString("base64")}`;
    if (expected !== undefined && headers.authorization !== expected) {
      throw new Refusal("UNAUTHORIZED", "log in", { "www-authenticate": 'Basic realm="registry"' });
    }
    route(exchange, content, url.pathname);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refuse(exchange, error);
  }
}

function route(exchange: Exchange, content: Content, path: string): void {
  if (path === "/v2/" || path === "/v2") {
    answer(exchange, 200);
    return;
  }
  const match = /^\/v2\/(.+)\/(blobs|manifests|tags|referrers)\/((?:uploads\/)?[^/]*)$/.exec(path);
  if (match === null) throw new Refusal("NAME_UNKNOWN", "there is nothing here");
  const [, name = "", kind, item = ""] = match;
  if (!NAME.test(name) || name.length > 255) throw new Refusal("NAME_INVALID", "that is not a repository's name");
  const writes = ["PUT", "POST", "PATCH"].includes(exchange.method);
  if (kind === "blobs" && item === "uploads/") {
    startUpload(exchange, content, name);
    return;
  }
  // Referrers of what was never pushed are an empty list, not an error.
  const repository = writes || kind === "referrers" ? content.open(name) : content.existing(name);
  if (kind === "manifests") serveManifest(exchange, repository, name, item);
  else if (kind === "tags" && item === "list") listTags(exchange, repository, name);
  else if (kind === "referrers") listReferrers(exchange, repository, name, item);
  else if (item.startsWith("uploads/")) continueUpload(exchange, repository, name, item.slice("uploads/".length));
  else serveBlob(exchange, repository, item);
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY) throw new Error("the body is too large for memory");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function corrupt(content: Content, digest: string, change: (bytes: Buffer) => Buffer): void {
  for (const { blobs, manifests } of content.repositories()) {
    const blob = blobs.get(digest);
    if (blob) blobs.set(digest, change(blob));
    const manifest = manifests.get(digest);
    if (manifest) manifests.set(digest, { ...manifest, bytes: change(manifest.bytes) });
  }
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}
