import type { RegistryClient } from "../oci/client.ts";
import { type Descriptor, quoted } from "../oci/descriptor.ts";
import { hexOf } from "../oci/digest.ts";
import { RegistryError, type RegistryErrorCode } from "../oci/error.ts";
import type { EvidenceLimits } from "../oci/limits.ts";
import type { FetchedManifest } from "../oci/manifest.ts";
import { short } from "./claim.ts";
import type { Evidence, Signature } from "./evidence.ts";

/** What evidence is read from: a registry's client. Whatever stands in must hold content to its digest. */
export interface EvidenceSource extends Pick<RegistryClient, "manifest" | "blob" | "referrers"> {
  readonly limits: EvidenceLimits;
}

export const SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json";
export const SIGNATURE_ANNOTATION = "dev.cosignproject.cosign/signature";
/** Version 0.3 and its successors, in the spelling that version began with. */
const BUNDLE = /^application\/vnd\.dev\.sigstore\.bundle\.v(?:0\.[3-9]|[1-9]\d*\.\d+)\+json$/;
const BASE64 = /^[A-Za-z0-9+/]{4,8192}={0,2}$/;

/** One signature that can't be had or read does not count; that others are there does. Anything else is the registry's. */
const FAULTS = new Set<RegistryErrorCode>([
  "NotFound",
  "TooLarge",
  "DigestMismatch",
  "SizeMismatch",
  "BadManifest",
  "UnsupportedLayout",
]);

/**
 * Collects what a repository holds of signatures of some manifests: under cosign's tag and as referrers, by the API or
 * the fallback tag. What a registry says of a referrer's type is not believed: each is looked at.
 * @param place "registry.example" and "team/filter"
 * @throws {RegistryError} where the registry can't be asked, or there is more than is allowed: a list is never cut
 */
export async function collectEvidence(
  source: EvidenceSource,
  place: { readonly registry: string; readonly repository: string },
  digests: readonly string[],
  signal: AbortSignal,
): Promise<Evidence> {
  const reader = new EvidenceReader(source, place, signal);
  for (const digest of new Set(digests)) await reader.read(digest);
  return { signatures: reader.signatures, faults: reader.faults };
}

class EvidenceReader {
  readonly signatures: Signature[] = [];
  readonly faults: string[] = [];
  readonly #source: EvidenceSource;
  readonly #place: { readonly registry: string; readonly repository: string };
  readonly #signal: AbortSignal;
  readonly #limits: EvidenceLimits;

  constructor(
    source: EvidenceSource,
    place: { readonly registry: string; readonly repository: string },
    signal: AbortSignal,
  ) {
    this.#source = source;
    this.#place = place;
    this.#signal = signal;
    this.#limits = source.limits;
  }

  async read(digest: string): Promise<void> {
    const { registry, repository } = this.#place;
    await this.#tagged(`sha256-${hexOf(digest)}.sig`);
    const referrers = await this.#source.referrers(registry, repository, digest, null, this.#signal);
    if (referrers.length > this.#limits.referrers) {
      throw new RegistryError(
        "TooLarge",
        `${short(digest)} has ${referrers.length} referrers, ${this.#limits.referrers} are allowed`,
      );
    }
    for (const referrer of referrers) {
      await this.#each(`the referrer ${short(referrer.digest)}`, () => this.#referrer(referrer, digest));
    }
  }

  async #tagged(tag: string): Promise<void> {
    let fetched: FetchedManifest;
    try {
      fetched = await this.#manifest(tag);
    } catch (error) {
      if (error instanceof RegistryError && error.code === "NotFound") return;
      throw error;
    }
    const { manifest } = fetched;
    if (manifest.kind !== "image") {
      this.faults.push(`what ${quoted(tag)} points to is an index`);
      return;
    }
    if (manifest.layers.length > this.#limits.signatures) {
      throw new RegistryError(
        "TooLarge",
        `${quoted(tag)} has ${manifest.layers.length} signatures, ${this.#limits.signatures} are allowed`,
      );
    }
    const payloads = new Map<string, Buffer>();
    for (const [index, layer] of manifest.layers.entries()) {
      await this.#each(`signature ${index + 1} under ${quoted(tag)}`, () => this.#layer(layer, payloads));
    }
  }

  /** Signatures of one payload share its blob. */
  async #layer(layer: Descriptor, payloads: Map<string, Buffer>): Promise<void> {
    if (layer.mediaType !== SIMPLE_SIGNING) throw fault(`is of the type ${layer.mediaType}`);
    const text = layer.annotations?.[SIGNATURE_ANNOTATION] ?? "";
    if (!BASE64.test(text)) throw fault(`has no signature in base64 in the annotation ${SIGNATURE_ANNOTATION}`);
    const payload = payloads.get(layer.digest) ?? (await this.#blob(layer, this.#limits.payloadBytes));
    payloads.set(layer.digest, payload);
    this.signatures.push({ format: "simpleSigning", payload, signature: Buffer.from(text, "base64") });
  }

  async #referrer({ digest }: Descriptor, subject: string): Promise<void> {
    const { manifest } = await this.#manifest(digest);
    // Of other kinds there are many: bills of materials, signatures of other makers.
    if (manifest.kind !== "image") return;
    const [layer, ...others] = manifest.layers;
    if (layer === undefined || others.length > 0 || !BUNDLE.test(layer.mediaType)) return;
    if (manifest.subject?.digest !== subject) throw fault("is of another subject");
    const bytes = await this.#blob(layer, this.#limits.bundleBytes);
    this.signatures.push({ format: "sigstoreBundle", bytes });
  }

  async #manifest(digestOrTag: string): Promise<FetchedManifest> {
    const { registry, repository } = this.#place;
    const fetched = await this.#source.manifest(registry, repository, digestOrTag, this.#signal);
    if (fetched.bytes.length <= this.#limits.signatureManifestBytes) return fetched;
    throw new RegistryError(
      "TooLarge",
      `a manifest of signatures has ${fetched.bytes.length} bytes, ${this.#limits.signatureManifestBytes} are allowed`,
    );
  }

  async #blob(descriptor: Descriptor, limit: number): Promise<Buffer> {
    if (descriptor.size > limit) throw fault(`has ${descriptor.size} bytes, ${limit} are allowed`);
    const { registry, repository } = this.#place;
    const chunks: Buffer[] = [];
    for await (const chunk of this.#source.blob(registry, repository, descriptor, this.#signal)) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  async #each(what: string, read: () => Promise<void>): Promise<void> {
    try {
      await read();
    } catch (error) {
      if (!(error instanceof RegistryError) || !FAULTS.has(error.code)) throw error;
      this.faults.push(`${what} ${error.operation === null ? error.message : `can't be had (${error.code})`}`);
    }
  }
}

function fault(problem: string): RegistryError {
  return new RegistryError("BadManifest", problem);
}
