import { announcedSize } from "./body.ts";
import { RegistryError } from "./error.ts";
import type { UploadSizes } from "./options.ts";
import { type BlobSource, blobOf } from "./push.ts";
import { resolveLocation } from "./redirect.ts";
import { isPassing } from "./retry.ts";
import { type Place, type Session, urlBelow } from "./session.ts";
import type { TransportResponse } from "./transport.ts";

/** A registry that takes no smaller chunks gets the whole: chunks are held in memory. */
const MAX_CHUNK = 64 * 1024 * 1024;
const OCTETS = { "content-type": "application/octet-stream" } as const;

/** An upload under way: where its next request goes, which each answer tells anew. */
interface Upload {
  readonly url: URL;
  /** Bytes that the registry has. */
  readonly offset: number;
  /** The smallest chunk that the registry takes but for the last, in bytes. */
  readonly minimum: number;
}

/**
 * Brings one blob into a repository (distribution-spec, "Push"): not at all where it is there, by a mount where another
 * repository of the registry has it, else in one piece or, above a size or where the registry finds one piece too
 * large, in chunks. Where a registry tells us to send bytes elsewhere, no credentials go there.
 */
export class BlobUpload {
  readonly #session: Session;
  readonly #place: Place;
  readonly #blob: BlobSource;
  readonly #sizes: UploadSizes;

  constructor(session: Session, place: Place, blob: BlobSource, sizes: UploadSizes) {
    this.#session = session;
    this.#place = place;
    this.#blob = blob;
    this.#sizes = sizes;
  }

  /** @param from a repository of the same registry that has the blob, or null @throws {RegistryError} */
  async run(from: string | null): Promise<void> {
    const { size } = this.#blob;
    const { wholeBytes, chunkBytes } = this.#sizes;
    if (size > wholeBytes) {
      await this.#inChunks(from).catch(error => (refusesChunks(error) ? this.#inOnePiece(from) : raise(error)));
    } else {
      await this.#inOnePiece(from).catch(error => {
        const tooLarge = error instanceof RegistryError && error.status === 413 && size > chunkBytes;
        return tooLarge ? this.#inChunks(null) : raise(error);
      });
    }
  }

  /** From the beginning each time: a registry keeps nothing of a piece that broke off. */
  async #inOnePiece(from: string | null): Promise<void> {
    await this.#session.repeated(this.#place, async () => {
      const upload = await this.#begin(from);
      if (upload !== null) await this.#finish(upload, this.#blob);
    });
  }

  async #inChunks(from: string | null): Promise<void> {
    let upload = await this.#session.repeated(this.#place, () => this.#begin(from));
    if (upload === null) return;
    if (upload.minimum > MAX_CHUNK) return this.#finish(upload, this.#blob);
    for (let failures = 0; upload.offset < this.#blob.size; ) {
      try {
        upload = await this.#sendFrom(upload);
      } catch (error) {
        if (!(error instanceof ChunkError)) throw error;
        failures += 1;
        upload = await this.#resumed(error, failures);
      }
    }
    await this.#session.repeated(this.#place, () => this.#completed(upload));
  }

  /** Sends all that the registry lacks. @throws {ChunkError} */
  async #sendFrom(start: Upload): Promise<Upload> {
    let upload = start;
    const size = Math.max(this.#sizes.chunkBytes, upload.minimum);
    for await (const chunk of piecesOf(this.#blob, upload.offset, size)) {
      upload = await this.#sendChunk(upload, chunk).catch(error => {
        throw new ChunkError(error, upload);
      });
    }
    return upload;
  }

  async #sendChunk(upload: Upload, chunk: Buffer): Promise<Upload> {
    const end = upload.offset + chunk.length;
    const headers = { ...OCTETS, "content-range": `${upload.offset}-${end - 1}` };
    const request = { method: "PATCH", url: upload.url, headers, body: blobOf(chunk) } as const;
    const response = await this.#session.write(this.#place, request, [202]);
    response.body.discard();
    const offset = receivedBytes(response) ?? end;
    if (offset !== end) {
      // "0-0" stands for nothing and for one byte; both are short of any chunk.
      throw new RegistryError("Server", `${upload.url.host} has ${offset} bytes of ${end} sent`).at(this.#place);
    }
    return { ...upload, url: this.#location(response), offset };
  }

  /** Asks how far an upload came whose last chunk failed. @throws the failure where it won't pass */
  async #resumed({ failure, upload }: ChunkError, failures: number): Promise<Upload> {
    if (outOfStep(failure)) {
      if (failures > MISSTEPS) throw failure;
    } else {
      await this.#session.pauseAfter(this.#place, failure, failures);
    }
    const request = { method: "GET", url: upload.url } as const;
    const response = await this.#session.repeated(this.#place, () =>
      this.#session.write(this.#place, request, [204, 200]),
    );
    response.body.discard();
    const offset = receivedBytes(response);
    if (offset === null || offset > this.#blob.size) {
      throw new RegistryError("BadResponse", `${upload.url.host} doesn't say how much of the upload it has`).at(
        this.#place,
      );
    }
    const { location } = response.headers;
    const url = location === undefined ? upload.url : this.#location(response);
    return { ...upload, url, offset };
  }

  /** Closes an upload that is whole. An answer that got lost may have been a yes. */
  async #completed(upload: Upload): Promise<void> {
    try {
      await this.#finish(upload, null);
    } catch (error) {
      const lost = isPassing(error) || (error instanceof RegistryError && error.code === "NotFound");
      if (!lost || !(await this.#isThere())) throw error;
    }
  }

  /** Starts an upload. @returns null where none is needed */
  async #begin(from: string | null): Promise<Upload | null> {
    if (await this.#isThere()) return null;
    const url = urlBelow(this.#place, "blobs/uploads/");
    if (from !== null) {
      url.searchParams.set("mount", this.#blob.digest);
      url.searchParams.set("from", from);
    }
    // 201 is the mount done; 202 an upload as if none had been asked for.
    const response = await this.#session.write(
      this.#place,
      { method: "POST", url },
      from === null ? [202] : [201, 202],
    );
    response.body.discard();
    if (response.status === 201) return null;
    const minimum = Number(/^\d{1,12}$/.exec(String(response.headers["oci-chunk-min-length"]))?.[0] ?? 0);
    return { url: this.#location(response), offset: 0, minimum };
  }

  async #finish({ url }: Upload, body: BlobSource | null): Promise<void> {
    const target = new URL(url);
    target.searchParams.set("digest", this.#blob.digest);
    const request = { method: "PUT", url: target, headers: OCTETS, body: body ?? blobOf(Buffer.alloc(0)) } as const;
    (await this.#session.write(this.#place, request, [201])).body.discard();
  }

  async #isThere(): Promise<boolean> {
    const { digest, size } = this.#blob;
    try {
      const found = await this.#session.read(this.#place, "HEAD", `blobs/${digest}`, {}, async response =>
        announcedSize(response.headers),
      );
      return found === null || found === size;
    } catch (error) {
      if (error instanceof RegistryError && error.code === "NotFound") return false;
      throw error;
    }
  }

  #location(response: TransportResponse): URL {
    try {
      return resolveLocation(response, this.#session.plainHosts);
    } catch (error) {
      throw error instanceof RegistryError ? error.at(this.#place) : error;
    }
  }
}

/** Chunks that a registry may say it wanted from another offset. */
const MISSTEPS = 3;

/** A chunk that failed, and the upload as it was before. */
class ChunkError extends Error {
  readonly failure: unknown;
  readonly upload: Upload;

  constructor(failure: unknown, upload: Upload) {
    super("a chunk failed", { cause: failure });
    this.failure = failure;
    this.upload = upload;
  }
}

/** 416: the registry has another number of bytes than we believe. */
function outOfStep(error: unknown): boolean {
  return error instanceof RegistryError && error.status === 416;
}

/** What registries answer that take blobs in one piece only. */
function refusesChunks(error: unknown): boolean {
  return error instanceof RegistryError && [400, 405, 415, 501].includes(error.status ?? 0);
}

function raise(error: unknown): never {
  throw error;
}

/** How many bytes an answer says have arrived, or null where it doesn't say. @throws {RegistryError} BadResponse */
function receivedBytes({ headers, url }: TransportResponse): number | null {
  const { range } = headers;
  if (range === undefined) return null;
  // The specification has no unit here; some registries write one all the same.
  const last = /^(?:bytes=)?0-(\d{1,15})$/.exec(range)?.[1];
  if (last === undefined) throw new RegistryError("BadResponse", `${url.host} sent a Range that can't be read`);
  return last === "0" ? 0 : Number(last) + 1;
}

/** The blob's bytes from an offset on, in pieces of that size and a shorter last one. @throws {RegistryError} SizeMismatch */
async function* piecesOf(blob: BlobSource, offset: number, size: number): AsyncGenerator<Buffer, void, undefined> {
  let held: Uint8Array[] = [];
  let length = 0;
  let position = 0;
  for await (const chunk of blob.open()) {
    let rest = chunk.subarray(Math.max(0, offset - position));
    position += chunk.length;
    while (length + rest.length >= size) {
      const missing = size - length;
      yield Buffer.concat([...held, rest.subarray(0, missing)], size);
      rest = rest.subarray(missing);
      held = [];
      length = 0;
    }
    if (rest.length > 0) held.push(rest);
    length += rest.length;
  }
  if (length > 0) yield Buffer.concat(held, length);
  if (position !== blob.size) {
    throw new RegistryError("SizeMismatch", `${blob.digest} has ${position} bytes, ${blob.size} were announced`);
  }
}
