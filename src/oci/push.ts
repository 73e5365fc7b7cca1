import { digestOf } from "./digest.ts";
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

/** Sends a manifest's bytes, again if need be: what is written is the same each time. */
export async function uploadBytes(
  session: Session,
  place: Place,
  path: string,
  bytes: Buffer,
  mediaType: string,
): Promise<TransportResponse> {
  const headers = { "content-type": mediaType };
  const request = { method: "PUT", url: urlBelow(place, path), headers, body: blobOf(bytes) } as const;
  const response = await session.repeated(place, () => session.write(place, request, [201]));
  // Lets the connection be used again.
  response.body.discard();
  return response;
}
