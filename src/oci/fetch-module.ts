import type { ModuleSource } from "./client.ts";
import { type ContentStore, keep, keeping, openKept, readKept } from "./content-store.ts";
import type { Descriptor } from "./descriptor.ts";
import { hexOf } from "./digest.ts";
import { RegistryError } from "./error.ts";
import { selectManifest } from "./index-selection.ts";
import type { LayoutName, ModuleLayer } from "./layout.ts";
import { refuseComponent } from "./layouts/cncf.ts";
import { type FetchedManifest, type ImageManifest, readManifest } from "./manifest.ts";
import { CNCF_CONFIG, ROOT_IDS_ANNOTATION, SOLO_CONFIG } from "./media-types.ts";
import { selectModule } from "./module-selection.ts";
import { MeasuredSink, type ModuleSink } from "./module-sink.ts";
import { annotatedRootIds, readRuntimeConfig } from "./runtime-config.ts";

/** Which image: registry and repository in the spelling of `parseReference`, and the digest of manifest or index. */
export interface ModuleAddress {
  readonly registry: string;
  readonly repository: string;
  readonly digest: string;
}

export interface FetchOptions {
  /** Where evidence is kept, and looked for first: with all of it there, no registry is asked. */
  readonly store?: ContentStore;
  /** The platform that decides where an index leaves a choice, "linux/amd64"; without it there must be none. */
  readonly platform?: string | undefined;
  /** What a refusal says can be done about such a choice; by default, what everybody can do. */
  readonly choiceRemedy?: string;
  readonly signal?: AbortSignal;
}

/** An index, and one inside of it. */
const MAX_INDEXES = 2;

/** What was fetched, and the chain of digests that ties the module to the address: index, manifest, layer, module. */
export interface FetchedModule {
  /** The index's bytes, where the address is that of an index. Their digest is the address's. */
  readonly indexBytes: Buffer | null;
  /** The bytes of the index that the first one led to, where it led to one. */
  readonly innerIndexBytes: Buffer | null;
  readonly manifestDigest: string;
  readonly manifestBytes: Buffer;
  readonly layout: LayoutName;
  /** The layer that is the module or, compressed, holds it. */
  readonly layerDigest: string;
  /** 64 hex digits. */
  readonly moduleSha256: string;
  /** In bytes. */
  readonly moduleSize: number;
  /** The root ids that the image names, in its order. */
  readonly rootIds: readonly string[];
}

/**
 * Fetches an image's module, whatever layout it has, and writes it to the sink as it comes: memory use doesn't grow
 * with the module. Everything is checked against the address's digest on the way.
 *
 * **The sink's content may be used only when the promise is fulfilled**; after a rejection it is to be thrown away.
 *
 * The same call serves a first run and a re-run: with a `store` that kept the evidence of the first, the whole chain is
 * checked again offline, and what comes out is what the module's file must hash to.
 * @throws {RegistryError} and whatever sink and store throw
 */
export async function fetchModule(
  source: ModuleSource,
  address: ModuleAddress,
  sink: ModuleSink,
  options: FetchOptions = {},
): Promise<FetchedModule> {
  try {
    return await new ModuleFetch(source, address, options).run(sink);
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    const subject = `${address.registry}/${address.repository}@${address.digest}`;
    throw error.at({ registry: address.registry, operation: "module", subject });
  }
}

class ModuleFetch {
  readonly #source: ModuleSource;
  readonly #address: ModuleAddress;
  readonly #store: ContentStore | null;
  readonly #platform: string | null;
  readonly #choiceRemedy: string | undefined;
  readonly #signal: AbortSignal | undefined;

  constructor(source: ModuleSource, address: ModuleAddress, options: FetchOptions) {
    this.#source = source;
    this.#address = address;
    this.#store = options.store ?? null;
    this.#platform = options.platform ?? null;
    this.#choiceRemedy = options.choiceRemedy;
    this.#signal = options.signal;
  }

  async run(sink: ModuleSink): Promise<FetchedModule> {
    const { indexes, image, fetched } = await this.#image();
    const [indexBytes = null, innerIndexBytes = null] = indexes;
    const module = selectModule(image);
    const config = module.config === null ? null : await this.#config(module.config);
    if (config !== null && module.config?.mediaType === CNCF_CONFIG) refuseComponent(config);
    const measured = new MeasuredSink(
      sink,
      this.#source.limits.moduleBytes,
      module.encoding === "raw" ? hexOf(module.layer.digest) : null,
    );
    const runtimeConfig = (await this.#module(module, measured)) ?? runtimeConfigOf(module, config);
    return {
      indexBytes,
      innerIndexBytes,
      manifestDigest: fetched.digest,
      manifestBytes: fetched.bytes,
      layout: module.layout,
      layerDigest: module.layer.digest,
      ...measured.finish(),
      rootIds: runtimeConfig
        ? readRuntimeConfig(runtimeConfig).rootIds
        : annotatedRootIds(image.annotations[ROOT_IDS_ANNOTATION]),
    };
  }

  /** The image that an address means, and the indexes on the way there. */
  async #image(): Promise<{ indexes: readonly Buffer[]; image: ImageManifest; fetched: FetchedManifest }> {
    const indexes: Buffer[] = [];
    let fetched = await this.#manifest(this.#address.digest, null);
    while (fetched.manifest.kind === "index") {
      if (indexes.push(fetched.bytes) > MAX_INDEXES) {
        throw new RegistryError("BadManifest", `more than ${MAX_INDEXES} indexes lie inside of each other`);
      }
      fetched = await this.#child(selectManifest(fetched.manifest, this.#platform, this.#choiceRemedy));
    }
    return { indexes, image: fetched.manifest, fetched };
  }

  /** What an index lists, held to all that it says of it. */
  async #child({ digest, size, mediaType }: Descriptor): Promise<FetchedManifest> {
    const fetched = await this.#manifest(digest, mediaType);
    if (fetched.bytes.length !== size) {
      throw new RegistryError("SizeMismatch", `${digest} has ${fetched.bytes.length} bytes, not ${size}`);
    }
    if (fetched.mediaType !== mediaType) {
      throw new RegistryError("BadManifest", `the index calls ${digest} ${mediaType}, but it is ${fetched.mediaType}`);
    }
    return fetched;
  }

  /** @param listedAs the media type by which an index lists it, which counts where nothing else tells */
  async #manifest(digest: string, listedAs: string | null): Promise<FetchedManifest> {
    const { registry, repository } = this.#address;
    const kept = this.#store && (await readKept(this.#store, digest, this.#source.limits.manifestBytes));
    if (kept) return readManifest(kept, listedAs, digest, this.#source.limits);
    const fetched = await this.#source.manifest(registry, repository, digest, this.#signal);
    if (this.#store) await keep(this.#store, digest, fetched.bytes);
    return fetched;
  }

  async #config(descriptor: Descriptor): Promise<Buffer> {
    const { manifestBytes } = this.#source.limits;
    if (descriptor.size > manifestBytes) {
      throw new RegistryError("TooLarge", `the config has ${descriptor.size} bytes, ${manifestBytes} are allowed`);
    }
    const chunks: Buffer[] = [];
    for await (const chunk of await this.#blob(descriptor, true)) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  /** Streams the module to the sink. @returns the runtime-config.json of an archive, or null */
  async #module({ layer, encoding }: ModuleLayer, sink: MeasuredSink): Promise<Buffer | null> {
    const { moduleBytes, manifestBytes, unpackRatio } = this.#source.limits;
    if (encoding !== "raw") {
      // Late, because most modules lie in none.
      const { readArchive } = await import("./archive.ts");
      const limits = { moduleBytes, configBytes: manifestBytes, unpackRatio };
      return readArchive(await this.#blob(layer, true), encoding, limits, sink);
    }
    // The sink itself keeps what is a module already.
    for await (const chunk of await this.#blob(layer, false, sink.borrows)) await sink.write(chunk);
    return null;
  }

  async #blob(descriptor: Descriptor, kept: boolean, lent = false): Promise<AsyncIterable<Buffer>> {
    const { registry, repository } = this.#address;
    if (this.#store) {
      const stored = await openKept(this.#store, descriptor);
      if (stored) return stored;
    }
    const fetched = this.#source.blob(registry, repository, descriptor, this.#signal, undefined, lent);
    return this.#store && kept ? keeping(this.#store, descriptor.digest, fetched) : fetched;
  }
}

function runtimeConfigOf({ config }: ModuleLayer, bytes: Buffer | null): Buffer | null {
  return config?.mediaType === SOLO_CONFIG ? bytes : null;
}
