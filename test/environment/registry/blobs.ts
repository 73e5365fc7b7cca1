import { answer, type Exchange, Refusal } from "./answer.ts";
import { checkDigest, type Repository } from "./content.ts";

/** GET, HEAD and DELETE of /v2/<name>/blobs/<digest>, with byte ranges (RFC 9110 section 14). */
export function serveBlob(exchange: Exchange, repository: Repository, digest: string): void {
  const bytes = repository.blobs.get(checkDigest(digest));
  if (bytes === undefined) throw new Refusal("BLOB_UNKNOWN", `there is no blob ${digest}`);
  if (exchange.method === "DELETE") {
    repository.blobs.delete(digest);
    answer(exchange, 202);
    return;
  }
  if (exchange.method !== "GET" && exchange.method !== "HEAD") throw new Refusal("UNSUPPORTED", "not for blobs");
  const headers = {
    "content-type": "application/octet-stream",
    "docker-content-digest": digest,
    "accept-ranges": "bytes",
  };
  const range = rangeOf(exchange.headers.range, bytes.length);
  if (range === null) {
    answer(exchange, 200, headers, bytes);
    return;
  }
  const contentRange = `bytes ${range.first}-${range.last}/${bytes.length}`;
  answer(exchange, 206, { ...headers, "content-range": contentRange }, bytes.subarray(range.first, range.last + 1));
}

/** One range, both ends included, or null where the whole is asked for. @throws {Refusal} RANGE_INVALID */
function rangeOf(header: string | undefined, size: number): { first: number; last: number } | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  if (match === null || (match[1] === "" && match[2] === "")) return null;
  const [, from = "", to = ""] = match;
  const first = from === "" ? Math.max(0, size - Number(to)) : Number(from);
  const last = from === "" || to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (first <= last && first < size) return { first, last };
  throw new Refusal("RANGE_INVALID", "the blob has no such range", { "content-range": `bytes */${size}` });
}
