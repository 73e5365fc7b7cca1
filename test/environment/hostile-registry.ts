import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { digestOf } from "../../src/oci/digest.ts";
import { OCI_MANIFEST } from "../../src/oci/media-types.ts";
import type { ModuleImage } from "../../src/oci/module-image.ts";

/** One request's part of a script: whether it dealt with the request. What it leaves is answered honestly. */
export type Play = (request: IncomingMessage, response: ServerResponse) => boolean;

export interface SeenRequest {
  /** "GET /v2/…", with its query. */
  readonly line: string;
  readonly authorization: string | null;
}

/**
 * A registry that no real server would play: it holds content under whatever digest it is told to, and a test's script
 * may take over any request. Without a script it is honest, so that what a test sees is the script's doing.
 */
export interface HostileRegistry {
  /** "127.0.0.1:<port>" */
  readonly address: string;
  /** Every request so far, oldest first. */
  readonly seen: readonly SeenRequest[];
  /** Holds an image of ours, to begin with. @returns the manifest's digest */
  image(image: ModuleImage): Promise<string>;
  /** Holds bytes under their digest, or under a false one. @returns the digest */
  hold(bytes: Buffer, mediaType?: string, digest?: string): string;
  script(play: Play): void;
  /** The honest answer, for a script that gives it in its own time. */
  answer(request: IncomingMessage, response: ServerResponse): void;
  close(): Promise<void>;
}

interface Held {
  readonly bytes: Buffer;
  readonly mediaType: string;
}

export async function startHostileRegistry(host = "127.0.0.1"): Promise<HostileRegistry> {
  const content = new Map<string, Held>();
  const seen: SeenRequest[] = [];
  let play: Play = () => false;
  const server = createServer((request, response) => {
    seen.push({
      line: `${request.method} ${request.url}`,
      authorization: request.headers.authorization ?? null,
    });
    request.resume();
    if (!play(request, response)) answerHonestly(request, response, content);
  });
  // Answers that never end are cut off here when a test is over, not by Node.
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, host, resolve));
  const hold = (bytes: Buffer, mediaType = "application/octet-stream", digest = digestOf(bytes)) => {
    content.set(digest, { bytes, mediaType });
    return digest;
  };
  return {
    address: `${host}:${(server.address() as AddressInfo).port}`,
    seen,
    hold,
    script: next => {
      play = next;
    },
    answer: (request, response) => answerHonestly(request, response, content),
    async image({ blobs, manifest }) {
      for (const { digest, open } of blobs) {
        const chunks: Uint8Array[] = [];
        for await (const chunk of open()) chunks.push(chunk);
        hold(Buffer.concat(chunks), undefined, digest);
      }
      return hold(manifest.bytes, OCI_MANIFEST, manifest.digest);
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answerHonestly(
  { method, url = "" }: IncomingMessage,
  response: ServerResponse,
  content: ReadonlyMap<string, Held>,
): void {
  const [, digest = ""] = /^\/v2\/.+\/(?:manifests|blobs)\/([^/?]+)$/.exec(url) ?? [];
  const held = content.get(decodeURIComponent(digest));
  if (held === undefined) {
    response.writeHead(404, { "content-length": "0" }).end();
    return;
  }
  const { bytes, mediaType } = held;
  response.writeHead(200, {
    "content-type": mediaType,
    "content-length": String(bytes.length),
    "docker-content-digest": digest,
  });
  response.end(method === "HEAD" ? undefined : bytes);
}
