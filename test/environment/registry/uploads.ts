import { randomUUID } from "node:crypto";
import { answer, type Exchange, Refusal } from "./answer.ts";
import { type Content, checkContent, type Repository } from "./content.ts";

interface Upload {
  readonly name: string;
  readonly repository: Repository;
  readonly id: string;
}

/** POST /v2/<name>/blobs/uploads/: a whole blob, a mount from another repository, or the start of an upload. */
export function startUpload(exchange: Exchange, content: Content, name: string): void {
  if (exchange.method !== "POST") throw new Refusal("UNSUPPORTED", "uploads are started with POST");
  const repository = content.open(name);
  const mount = exchange.query.get("mount");
  const digest = exchange.query.get("digest");
  if (mount !== null && mounted(content, repository, mount, exchange.query.get("from"))) {
    created(exchange, name, mount);
  } else if (digest !== null && mount === null) {
    checkContent(digest, exchange.body);
    repository.blobs.set(digest, exchange.body);
    created(exchange, name, digest);
  } else {
    const id = randomUUID();
    repository.uploads.set(id, []);
    progress(exchange, 202, { name, repository, id });
  }
}

/** GET, PATCH, PUT and DELETE of /v2/<name>/blobs/uploads/<id>. */
export function continueUpload(exchange: Exchange, repository: Repository, name: string, id: string): void {
  const chunks = repository.uploads.get(id);
  if (chunks === undefined) throw new Refusal("BLOB_UPLOAD_UNKNOWN", "there is no such upload");
  const upload = { name, repository, id };
  switch (exchange.method) {
    case "GET":
      progress(exchange, 204, upload);
      break;
    case "PATCH":
      append(exchange, chunks, upload);
      progress(exchange, 202, upload);
      break;
    case "PUT":
      if (exchange.body.length > 0) append(exchange, chunks, upload);
      finish(exchange, chunks, upload);
      break;
    case "DELETE":
      repository.uploads.delete(id);
      answer(exchange, 204);
      break;
    default:
      throw new Refusal("UNSUPPORTED", "not for uploads");
  }
}

function mounted(content: Content, repository: Repository, digest: string, from: string | null): boolean {
  // Without "from" a registry may look anywhere ("automatic content discovery").
  const sources = from === null ? content.repositories() : [content.open(from)];
  for (const source of sources) {
    const bytes = source.blobs.get(digest);
    if (bytes === undefined) continue;
    repository.blobs.set(digest, bytes);
    return true;
  }
  return false;
}

/** Takes a chunk that begins where the last one ended. @throws {Refusal} RANGE_INVALID */
function append({ headers, body }: Exchange, chunks: Buffer[], upload: Upload): void {
  const range = headers["content-range"];
  if (range !== undefined) {
    const size = sizeOf(chunks);
    const match = /^(\d+)-(\d+)$/.exec(range);
    if (match === null || Number(match[1]) !== size || Number(match[2]) !== size + body.length - 1) {
      throw new Refusal("RANGE_INVALID", `the next byte is ${size}`, progressHeaders(upload));
    }
  }
  chunks.push(body);
}

function finish(exchange: Exchange, chunks: readonly Buffer[], { name, repository, id }: Upload): void {
  const digest = exchange.query.get("digest");
  if (digest === null) throw new Refusal("DIGEST_INVALID", "the digest parameter is missing");
  const bytes = Buffer.concat(chunks);
  checkContent(digest, bytes);
  repository.uploads.delete(id);
  repository.blobs.set(digest, bytes);
  created(exchange, name, digest);
}

function created(exchange: Exchange, name: string, digest: string): void {
  answer(exchange, 201, { location: `/v2/${name}/blobs/${digest}`, "docker-content-digest": digest });
}

function progress(exchange: Exchange, status: number, upload: Upload): void {
  answer(exchange, status, progressHeaders(upload));
}

function progressHeaders({ name, repository, id }: Upload): Readonly<Record<string, string>> {
  const size = sizeOf(repository.uploads.get(id) ?? []);
  return {
    location: `/v2/${name}/blobs/uploads/${id}`,
    // Both ends included; an empty upload can't say so, and "0-0" is what registries write.
    range: `0-${Math.max(0, size - 1)}`,
    "oci-chunk-min-length": "0",
  };
}

function sizeOf(chunks: readonly Buffer[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}
