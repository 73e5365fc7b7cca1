import { answer, type Exchange, Refusal } from "./answer.ts";
import { checkContent, digestLike, type Repository } from "./content.ts";

const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const MAX_MANIFEST = 8 * 1024 * 1024;
/** distribution-spec, "Pushing Manifests": registries accept at least ten tags with one manifest. */
const MAX_TAGS = 10;

interface ManifestDocument {
  readonly mediaType?: string;
  readonly config?: { readonly digest: string };
  readonly layers?: readonly { readonly digest: string; readonly urls?: readonly string[] }[];
  readonly subject?: { readonly digest: string };
}

/** GET, HEAD, PUT and DELETE of /v2/<name>/manifests/<reference>. */
export function serveManifest(exchange: Exchange, repository: Repository, name: string, reference: string): void {
  if (!reference.includes(":") && !TAG.test(reference)) throw new Refusal("MANIFEST_INVALID", "that is not a tag");
  switch (exchange.method) {
    case "GET":
    case "HEAD":
      read(exchange, repository, reference);
      break;
    case "PUT":
      put(exchange, repository, name, reference);
      break;
    case "DELETE":
      remove(exchange, repository, reference);
      break;
    default:
      throw new Refusal("UNSUPPORTED", "not for manifests");
  }
}

/** A manifest's document. @throws {Refusal} MANIFEST_INVALID */
export function documentOf(bytes: Buffer): ManifestDocument {
  try {
    const document: unknown = JSON.parse(bytes.toString("utf8"));
    if (typeof document === "object" && document !== null) return document;
  } catch {
    // Falls through: not JSON is as wrong as no object.
  }
  throw new Refusal("MANIFEST_INVALID", "the manifest is not a JSON object");
}

function read(exchange: Exchange, repository: Repository, reference: string): void {
  const digest = repository.tags.get(reference) ?? reference;
  const manifest = repository.manifests.get(digest);
  if (manifest === undefined) throw new Refusal("MANIFEST_UNKNOWN", `there is no manifest ${reference}`);
  answer(exchange, 200, { "content-type": manifest.mediaType, "docker-content-digest": digest }, manifest.bytes);
}

function put(exchange: Exchange, repository: Repository, name: string, reference: string): void {
  const { body, headers } = exchange;
  if (body.length > MAX_MANIFEST) throw new Refusal("SIZE_INVALID", `a manifest has at most ${MAX_MANIFEST} bytes`);
  const document = documentOf(body);
  const mediaType = headers["content-type"] ?? document.mediaType ?? "";
  if (document.mediaType !== undefined && document.mediaType !== mediaType) {
    throw new Refusal("MANIFEST_INVALID", "mediaType and Content-Type differ");
  }
  if ("layers" in document && "manifests" in document) {
    throw new Refusal("MANIFEST_INVALID", "a manifest has layers or manifests");
  }
  if (!repository.habits.sparse) checkBlobs(document, repository);
  const byDigest = reference.includes(":");
  const tags = byDigest ? exchange.query.getAll("tag") : [reference];
  if (tags.length > MAX_TAGS || !tags.every(tag => TAG.test(tag))) {
    throw new Refusal("MANIFEST_INVALID", `a manifest is pushed with at most ${MAX_TAGS} tags, each of them a tag`);
  }
  const digest = byDigest ? reference : digestLike("sha256", body);
  checkContent(digest, body);
  repository.manifests.set(digest, { bytes: body, mediaType });
  for (const tag of tags) repository.tags.set(tag, digest);
  if (byDigest && tags.length > 0) exchange.response.setHeader("oci-tag", tags);
  answer(exchange, 201, {
    location: `/v2/${name}/manifests/${digest}`,
    "docker-content-digest": digest,
    ...(document.subject ? { "oci-subject": document.subject.digest } : {}),
  });
}

function checkBlobs({ config, layers = [] }: ManifestDocument, repository: Repository): void {
  for (const part of [...(config ? [config] : []), ...layers]) {
    const elsewhere = "urls" in part && part.urls !== undefined;
    if (!elsewhere && !repository.blobs.has(part.digest)) {
      throw new Refusal("MANIFEST_BLOB_UNKNOWN", `there is no blob ${part.digest}`);
    }
  }
}

function remove(exchange: Exchange, repository: Repository, reference: string): void {
  const known = repository.tags.delete(reference) || repository.manifests.delete(reference);
  if (!known) throw new Refusal("MANIFEST_UNKNOWN", `there is no manifest ${reference}`);
  for (const [tag, digest] of repository.tags) if (digest === reference) repository.tags.delete(tag);
  answer(exchange, 202);
}
