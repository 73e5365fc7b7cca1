import type { Descriptor } from "./descriptor.ts";
import { digestOf, isDigest } from "./digest.ts";
import { RegistryError } from "./error.ts";
import { resolveLocation } from "./redirect.ts";
import { type Place, type Session, urlBelow } from "./session.ts";
import type { TransportResponse } from "./transport.ts";

/** Content that can be uploaded. `open` may be called more than once. */
export interface BlobSource {
  readonly digest: string;
  readonly size: number;
  open(): AsyncIterable<Uint8Array>;
}

/** A blob of bytes at hand. */
export function blobOf(bytes: Buffer): BlobSource {
  return {
    digest: digestOf(bytes),
    size: bytes.length,
    async *open() {
      yield bytes;
    },
  };
}

export async function uploadBlob(session: Session, place: Place, blob: BlobSource): Promise<void> {
  if (await hasBlob(session, place, blob.digest)) return;
  const started = await session.write(place, { method: "POST", url: urlBelow(place, "blobs/uploads/") }, [202]);
  const url = uploadUrl(started, session, place);
  discard(started);
  url.searchParams.set("digest", blob.digest);
  const headers = { "content-type": "application/octet-stream" };
  discard(await session.write(place, { method: "PUT", url, headers, body: blob }, [201]));
}

export async function uploadManifest(
  session: Session,
  place: Place,
  digestOrTag: string,
  { bytes, mediaType }: { readonly bytes: Buffer; readonly mediaType: string },
): Promise<Descriptor> {
  const blob = blobOf(bytes);
  if (isDigest(digestOrTag) && digestOrTag !== blob.digest) {
    throw new RegistryError("DigestMismatch", `the manifest's digest is ${blob.digest}, not ${digestOrTag}`).at(place);
  }
  const url = urlBelow(place, `manifests/${digestOrTag}`);
  discard(
    await session.write(place, { method: "PUT", url, headers: { "content-type": mediaType }, body: blob }, [201]),
  );
  return { mediaType, digest: blob.digest, size: bytes.length };
}

async function hasBlob(session: Session, place: Place, digest: string): Promise<boolean> {
  try {
    await session.read(place, "HEAD", `blobs/${digest}`, {}, response => Promise.resolve(discard(response)));
    return true;
  } catch (error) {
    if (error instanceof RegistryError && error.code === "NotFound") return false;
    throw error;
  }
}

function uploadUrl(started: TransportResponse, session: Session, place: Place): URL {
  try {
    return resolveLocation(started, session.plainHosts);
  } catch (error) {
    throw error instanceof RegistryError ? error.at(place) : error;
  }
}

/** Lets the connection be used again. */
function discard(response: TransportResponse): void {
  response.body.resume();
}
