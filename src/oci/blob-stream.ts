import { announcedSize, chunksOf, refuseCoding } from "./body.ts";
import type { Descriptor } from "./descriptor.ts";
import { RegistryError } from "./error.ts";
import type { Place, Session } from "./session.ts";
import type { TransportResponse } from "./transport.ts";

/** Who gave a blob: the registry that the reference names, or a mirror of it. */
export type BlobOrigin = "registry" | "mirror";

/**
 * A blob's bytes as they come, asked for again from where they broke off (RFC 9110 section 14), in the end of the next
 * source. No validator is needed: what a digest names doesn't change, and whoever hashes the whole finds out if it did.
 * How often is bounded by the retry policy, for the whole blob at one source: progress doesn't buy further tries.
 * @param sources where it is, best first; the last one is the registry itself
 * @param served is told, before the end, who gave the last part of it
 * @param lent a chunk is done with when the next one is asked for: its memory may be used again
 * @throws {RegistryError}
 */
export async function* blobChunks(
  session: Session,
  sources: readonly Place[],
  descriptor: Descriptor,
  served: (origin: BlobOrigin) => void = () => {},
  lent = false,
): AsyncGenerator<Buffer, void, undefined> {
  let offset = 0;
  const failures: RegistryError[] = [];
  for (const [index, place] of sources.entries()) {
    try {
      for await (const chunk of chunksAt(session, place, descriptor, offset, lent)) {
        offset += chunk.length;
        yield chunk;
      }
      served(index === sources.length - 1 ? "registry" : "mirror");
      return;
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      failures.push(error.at(place));
    }
  }
  throw failures.pop()?.after(failures) ?? new TypeError("no source was given");
}

/** What is missing from an offset on, of one source. */
async function* chunksAt(
  session: Session,
  place: Place,
  descriptor: Descriptor,
  start: number,
  lent: boolean,
): AsyncGenerator<Buffer, void, undefined> {
  let offset = start;
  for (let broken = 0; ; ) {
    const response = await open(session, place, descriptor, offset);
    try {
      for await (const chunk of chunksFrom(offset, response, place.signal, lent)) {
        offset += chunk.length;
        yield chunk;
      }
      if (offset >= descriptor.size) return;
      throw new RegistryError("Unreachable", `${response.url.host} ended after ${offset} of ${descriptor.size} bytes`);
    } catch (error) {
      // A connection that broke behind the last byte took nothing with it, and there is no range from there on.
      if (offset > start && offset === descriptor.size) return;
      broken += 1;
      await session.pauseAfter(place, error, broken);
    }
  }
}

function open(session: Session, place: Place, descriptor: Descriptor, offset: number): Promise<TransportResponse> {
  const headers: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-` };
  const statuses = offset === 0 ? [200] : [200, 206];
  return session.read(
    place,
    "GET",
    `blobs/${descriptor.digest}`,
    headers,
    async response => checked(response, descriptor, offset),
    statuses,
  );
}

/** Refuses a response that is not the part asked for, before any of it is read. */
function checked(response: TransportResponse, { digest, size }: Descriptor, offset: number): TransportResponse {
  refuseCoding(response);
  const { status, headers, url } = response;
  const first = status === 206 ? offset : 0;
  const range = headers["content-range"] ?? "";
  if (status === 206 && ![`${size}`, "*"].some(total => range === `bytes ${first}-${size - 1}/${total}`)) {
    throw new RegistryError(
      "BadResponse",
      `${url.host} sent another part of ${digest} than the one from byte ${offset}`,
    );
  }
  const announced = announcedSize(headers);
  if (announced !== null && announced !== size - first) {
    throw new RegistryError("SizeMismatch", `${digest} comes with ${first + announced} bytes, ${size} were announced`);
  }
  return response;
}

/** A server without ranges sends it all once more. */
function chunksFrom(
  offset: number,
  response: TransportResponse,
  signal: AbortSignal,
  lent: boolean,
): AsyncIterable<Buffer> {
  const chunks = chunksOf(response, signal, lent);
  return response.status === 206 || offset === 0 ? chunks : skipping(chunks, offset);
}

async function* skipping(chunks: AsyncIterable<Buffer>, count: number): AsyncGenerator<Buffer, void, undefined> {
  let left = count;
  for await (const chunk of chunks) {
    const rest = chunk.subarray(left);
    left -= Math.min(left, chunk.length);
    if (rest.length > 0) yield rest;
  }
}
