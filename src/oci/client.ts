import { announcedSize, chunksOf, readBody, refuseCoding } from "./body.ts";
import type { Descriptor } from "./descriptor.ts";
import { isDigest, verifying } from "./digest.ts";
import { RegistryError } from "./error.ts";
import { ACCEPTED_MANIFESTS, type FetchedManifest, readManifest, withoutParameters } from "./manifest.ts";
import { IMAGE_TYPES, INDEX_TYPES } from "./media-types.ts";
import { completed, type RegistryClientOptions, type RegistryLimits } from "./options.ts";
import { type BlobSource, uploadBlob, uploadManifest } from "./push.ts";
import type { Reference } from "./reference.ts";
import { Session } from "./session.ts";
import type { TransportResponse } from "./transport.ts";

/**
 * What may be fetched from a registry. What `fetchModule` needs, so that something else can stand in: whatever does must
 * hold manifests and blobs to their digests and sizes, as `RegistryClient` does.
 */
export interface ModuleSource {
  readonly limits: RegistryLimits;
  manifest(registry: string, repository: string, digestOrTag: string, signal?: AbortSignal): Promise<FetchedManifest>;
  blob(registry: string, repository: string, descriptor: Descriptor, signal?: AbortSignal): AsyncIterable<Buffer>;
}

/**
 * A client of OCI registries (distribution-spec 1.1) that treats every registry as hostile: nothing it returns differs
 * from the digest asked for, nothing is larger or slower than allowed, no credential reaches a host it wasn't meant
 * for, and no address is dialled that clouds answer secrets on.
 *
 * Every method throws RegistryError; names and digests are checked before they stand in a URL.
 */
export class RegistryClient implements ModuleSource {
  readonly limits: RegistryLimits;
  readonly #session: Session;

  constructor(options: RegistryClientOptions = {}) {
    const complete = completed(options);
    this.limits = complete.limits;
    this.#session = new Session(complete);
  }

  /**
   * What a reference points to at this moment: media type, digest and size of the manifest. A reference without tag and
   * digest means the tag "latest"; where there are both, the digest decides. Asked with HEAD, and where the answer to
   * that isn't complete by fetching and hashing the manifest itself.
   */
  async resolve(reference: Reference, signal?: AbortSignal): Promise<Descriptor> {
    const { registry, repository } = reference;
    const wanted = reference.digest ?? reference.tag ?? "latest";
    const place = this.#session.place("resolve", registry, repository, "pull", wanted, signal);
    const described = await this.#session.read(place, "HEAD", `manifests/${wanted}`, manifestHeaders(), response =>
      Promise.resolve(describedBy(response, reference.digest)),
    );
    if (described !== null) return described;
    const { digest, mediaType, bytes } = await this.manifest(registry, repository, wanted, place.signal);
    return { digest, mediaType, size: bytes.length };
  }

  /**
   * Fetches a manifest or an index. Asked for by digest, the bytes have that digest; asked for by tag, the digest
   * returned is that of the bytes.
   */
  async manifest(
    registry: string,
    repository: string,
    digestOrTag: string,
    signal?: AbortSignal,
  ): Promise<FetchedManifest> {
    const place = this.#session.place("manifest", registry, repository, "pull", digestOrTag, signal);
    const expected = isDigest(digestOrTag) ? digestOrTag : null;
    return this.#session.read(place, "GET", `manifests/${digestOrTag}`, manifestHeaders(), async response => {
      const bytes = await readBody(response, this.limits.manifestBytes, "the manifest", place.signal);
      return readManifest(bytes, response.headers["content-type"] ?? null, expected);
    });
  }

  /**
   * Streams a blob. Never yields more than the descriptor's size, and throws at the end where digest or size differ:
   * what was yielded must not be used before the iteration ended without an error. Breaking off closes the connection.
   */
  async *blob(
    registry: string,
    repository: string,
    descriptor: Descriptor,
    signal?: AbortSignal,
  ): AsyncGenerator<Buffer, void, undefined> {
    const place = this.#session.place("blob", registry, repository, "pull", null, signal);
    try {
      refuseLarge(descriptor, this.limits.moduleBytes);
      const response = await this.#session.read(place, "GET", `blobs/${descriptor.digest}`, {}, opened =>
        Promise.resolve(checkedBlob(opened, descriptor)),
      );
      yield* verifying(chunksOf(response, place.signal), descriptor);
    } catch (error) {
      throw error instanceof RegistryError ? error.at(place) : error;
    }
  }

  /** Uploads a blob unless the repository has it: POST, then one PUT. */
  async pushBlob(registry: string, repository: string, blob: BlobSource, signal?: AbortSignal): Promise<void> {
    await uploadBlob(
      this.#session,
      this.#session.place("pushBlob", registry, repository, "pull,push", null, signal),
      blob,
    );
  }

  /** Uploads a manifest under a tag or its own digest. */
  async pushManifest(
    registry: string,
    repository: string,
    digestOrTag: string,
    manifest: { readonly bytes: Buffer; readonly mediaType: string },
    signal?: AbortSignal,
  ): Promise<Descriptor> {
    const place = this.#session.place("pushManifest", registry, repository, "pull,push", digestOrTag, signal);
    return uploadManifest(this.#session, place, digestOrTag, manifest);
  }

  /** Closes idle connections. Nothing can be asked of the client afterwards. */
  close(): void {
    this.#session.close();
  }
}

function manifestHeaders(): Readonly<Record<string, string>> {
  return { accept: ACCEPTED_MANIFESTS };
}

/** What the headers of a HEAD say, or null where they say too little. */
function describedBy({ headers }: TransportResponse, asked: string | null): Descriptor | null {
  const digest = headers["docker-content-digest"];
  const size = announcedSize(headers);
  const mediaType = withoutParameters(headers["content-type"] ?? "");
  if (!isDigest(digest) || size === null || ![...IMAGE_TYPES, ...INDEX_TYPES].includes(mediaType)) return null;
  if (asked !== null && digest !== asked) {
    throw new RegistryError("DigestMismatch", `the registry says ${digest}, ${asked} was asked for`);
  }
  return { digest, size, mediaType };
}

function refuseLarge({ digest, size }: Descriptor, limit: number): void {
  if (size > limit) throw new RegistryError("TooLarge", `${digest} has ${size} bytes, ${limit} are allowed`);
}

function checkedBlob(response: TransportResponse, descriptor: Descriptor): TransportResponse {
  refuseCoding(response);
  const announced = announcedSize(response.headers);
  if (announced !== null && announced !== descriptor.size) {
    response.body.destroy();
    const { digest, size } = descriptor;
    throw new RegistryError("SizeMismatch", `${digest} comes with ${announced} bytes, ${size} were announced`);
  }
  return response;
}
