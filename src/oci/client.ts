import { type BlobOrigin, blobChunks } from "./blob-stream.ts";
import { announcedSize, readBody } from "./body.ts";
import type { Descriptor } from "./descriptor.ts";
import { isDigest, verifying } from "./digest.ts";
import { RegistryError } from "./error.ts";
import type { ContentLimits, RegistryLimits } from "./limits.ts";
import { ACCEPTED_MANIFESTS, type FetchedManifest, readManifest, withoutParameters } from "./manifest.ts";
import { uploadManifest } from "./manifest-push.ts";
import { IMAGE_TYPES, INDEX_TYPES } from "./media-types.ts";
import { completed, type RegistryClientOptions, type UploadSizes } from "./options.ts";
import type { BlobSource } from "./push.ts";
import type { Reference } from "./reference.ts";
import { listReferrers } from "./referrers.ts";
import { type Place, Session } from "./session.ts";
import { listTags } from "./tag-list.ts";
import type { TransportResponse } from "./transport.ts";
import { BlobUpload } from "./upload.ts";

/**
 * What may be fetched from a registry. What `fetchModule` needs, so that something else can stand in: whatever does must
 * hold manifests and blobs to their digests and sizes, as `RegistryClient` does.
 */
export interface ModuleSource {
  readonly limits: ContentLimits;
  manifest(registry: string, repository: string, digestOrTag: string, signal?: AbortSignal): Promise<FetchedManifest>;
  /**
   * @param served is told who gave it, where it came to its end
   * @param lent whoever reads it is done with a chunk when it asks for the next one: the chunk's memory may be used again
   */
  blob(
    registry: string,
    repository: string,
    descriptor: Descriptor,
    signal?: AbortSignal,
    served?: (origin: BlobOrigin) => void,
    lent?: boolean,
  ): AsyncIterable<Buffer>;
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
  readonly #uploads: UploadSizes;

  constructor(options: RegistryClientOptions = {}) {
    const complete = completed(options);
    this.limits = complete.limits;
    this.#uploads = complete.uploads;
    this.#session = new Session(complete);
  }

  /**
   * What a reference points to at this moment: media type, digest and size of the manifest. A reference without tag and
   * digest means the tag "latest"; where there are both, the digest decides. Asked with HEAD, and where the answer to
   * that isn't complete by fetching and hashing the manifest itself.
   */
  async resolve(reference: Reference, signal?: AbortSignal): Promise<Descriptor> {
    const { registry, repository, digest } = reference;
    const wanted = digest ?? reference.tag ?? "latest";
    const sources = this.#session.sources("resolve", registry, repository, wanted, digest !== null, signal);
    return firstOf(sources, async place => {
      const described = await this.#session.read(
        place,
        "HEAD",
        `manifests/${wanted}`,
        manifestHeaders(),
        async response => describedBy(response, digest),
      );
      if (described !== null) return described;
      const fetched = await this.#manifest({ ...place, operation: "manifest" }, wanted);
      return { digest: fetched.digest, mediaType: fetched.mediaType, size: fetched.bytes.length };
    });
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
    const proven = isDigest(digestOrTag);
    const sources = this.#session.sources("manifest", registry, repository, digestOrTag, proven, signal);
    return firstOf(sources, place => this.#manifest(place, digestOrTag));
  }

  #manifest(place: Place, digestOrTag: string): Promise<FetchedManifest> {
    const expected = isDigest(digestOrTag) ? digestOrTag : null;
    return this.#session.read(place, "GET", `manifests/${digestOrTag}`, manifestHeaders(), async response => {
      const bytes = await readBody(response, this.limits.manifestBytes, "the manifest", place.signal);
      return readManifest(bytes, response.headers["content-type"] ?? null, expected, this.limits);
    });
  }

  /**
   * Streams a blob, going on where a connection breaks off. Never yields more than the descriptor's size, and throws at
   * the end where digest or size differ: what was yielded must not be used before the iteration ended without an error.
   * Breaking off closes the connection.
   */
  async *blob(
    registry: string,
    repository: string,
    descriptor: Descriptor,
    signal?: AbortSignal,
    served?: (origin: BlobOrigin) => void,
    lent = false,
  ): AsyncGenerator<Buffer, void, undefined> {
    const sources = this.#session.sources("blob", registry, repository, null, true, signal);
    try {
      refuseLarge(descriptor, this.limits.moduleBytes);
      yield* verifying(blobChunks(this.#session, sources, descriptor, served, lent), descriptor);
    } catch (error) {
      throw error instanceof RegistryError ? error.at(sources.at(-1) ?? sources[0]) : error;
    }
  }

  /** All tags of a repository, in the registry's order. More than `limits.tags` are refused, not cut. */
  async tags(registry: string, repository: string, signal?: AbortSignal): Promise<readonly string[]> {
    const sources = this.#session.sources("tags", registry, repository, null, false, signal);
    return firstOf(sources, place => listTags(this.#session, place, this.limits));
  }

  /**
   * What the registry says refers to a manifest: a hint, to be judged by the content that the descriptors lead to.
   * Empty where there is nothing. More than `limits.referrers` are refused, not cut.
   * @param artifactType only these; null for all
   */
  async referrers(
    registry: string,
    repository: string,
    digest: string,
    artifactType: string | null = null,
    signal?: AbortSignal,
  ): Promise<readonly Descriptor[]> {
    const sources = this.#session.sources("referrers", registry, repository, digest, false, signal);
    if (!isDigest(digest)) throw new RegistryError("Rejected", "only a sha256 digest has referrers").at(sources[0]);
    return firstOf(sources, place => listReferrers(this.#session, place, digest, artifactType, this.limits));
  }

  /**
   * Uploads a blob unless the repository has it.
   * @param from a repository of the same registry that has it: mounted from there, if the registry does that
   */
  async pushBlob(
    registry: string,
    repository: string,
    blob: BlobSource,
    signal?: AbortSignal,
    from: string | null = null,
  ): Promise<void> {
    const place = this.#session.place("pushBlob", registry, repository, "pull,push", null, signal);
    // Only for its checks of the name.
    if (from !== null) this.#session.place("pushBlob", registry, from, "pull", null, signal);
    await new BlobUpload(this.#session, place, blob, this.#uploads).run(from);
  }

  /** Uploads a manifest under a tag or its own digest; one with a subject ends up among the subject's referrers. */
  async pushManifest(
    registry: string,
    repository: string,
    digestOrTag: string,
    manifest: { readonly bytes: Buffer; readonly mediaType: string },
    signal?: AbortSignal,
  ): Promise<Descriptor> {
    const place = this.#session.place("pushManifest", registry, repository, "pull,push", digestOrTag, signal);
    return uploadManifest(this.#session, place, digestOrTag, manifest, this.limits);
  }

  /** Asks a registry whether it takes our credentials. @returns false where it asks nobody for any */
  ping(registry: string, signal?: AbortSignal): Promise<boolean> {
    return this.#session.ping(registry, signal);
  }

  /** Closes idle connections. Nothing can be asked of the client afterwards. */
  close(): void {
    this.#session.close();
  }
}

/** What the first source gives that can. A failure is the last one's, with what failed before it. */
async function firstOf<T>(sources: readonly Place[], read: (place: Place) => Promise<T>): Promise<T> {
  const failures: RegistryError[] = [];
  for (const place of sources) {
    try {
      return await read(place);
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      failures.push(error);
    }
  }
  throw failures.pop()?.after(failures) ?? new TypeError("no source was given");
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
