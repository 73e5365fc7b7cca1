import type { Descriptor } from "../../src/oci/descriptor.ts";
import { RegistryError, type RegistryErrorCode } from "../../src/oci/error.ts";
import { DEFAULT_LIMITS } from "../../src/oci/limits.ts";
import { readManifest } from "../../src/oci/manifest.ts";
import { OCI_EMPTY, OCI_MANIFEST } from "../../src/oci/media-types.ts";
import type { EvidenceSource } from "../../src/trust/collection.ts";
import { signedBundle } from "../../src/trust/signing.ts";
import { descriptorOf, manifestBytes } from "../oci/images.ts";
import type { KeyPair } from "./samples.ts";

const BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";
const EMPTY = Buffer.from("{}");

/** One image. Others differ by their name alone. */
export function imageBytes(name: string): Buffer {
  return manifestBytes({ config: descriptorOf(EMPTY, OCI_EMPTY), annotations: { name } });
}

/** What clients of a registry see, without one: for tests that ask thousands of times. */
export class MemoryEvidence implements EvidenceSource {
  readonly limits = DEFAULT_LIMITS;
  readonly #contents = new Map<string, Buffer>();
  readonly #referrers = new Map<string, Descriptor[]>();
  /** What every question ends with, if with an error. */
  failing: RegistryErrorCode | null = null;
  /** How often a manifest was asked for. */
  asked = 0;
  /** Questions wait for it. */
  gate: Promise<void> = Promise.resolve();

  add(bytes: Buffer): string {
    const { digest } = descriptorOf(bytes, OCI_MANIFEST);
    this.#contents.set(digest, bytes);
    return digest;
  }

  sign(digest: string, repository: string, { signer }: KeyPair): void {
    const bundle = signedBundle({ digest, repository, annotations: {} }, signer);
    const subject = descriptorOf(this.#contents.get(digest) ?? EMPTY, OCI_MANIFEST);
    const layer = descriptorOf(bundle, BUNDLE);
    const manifest = manifestBytes({ config: descriptorOf(EMPTY, OCI_EMPTY), subject, layers: [layer] });
    this.#contents.set(layer.digest, bundle);
    this.add(manifest);
    this.#referrers.set(digest, [...(this.#referrers.get(digest) ?? []), descriptorOf(manifest, OCI_MANIFEST)]);
  }

  /** Takes all signatures off an image. */
  unsign(digest: string): void {
    this.#referrers.delete(digest);
  }

  async manifest(_registry: string, _repository: string, digestOrTag: string) {
    this.asked += 1;
    await this.#answered();
    const bytes = this.#contents.get(digestOrTag);
    if (bytes === undefined) throw new RegistryError("NotFound", `${digestOrTag} does not exist`);
    return readManifest(bytes, OCI_MANIFEST, digestOrTag);
  }

  async referrers(_registry: string, _repository: string, digest: string) {
    await this.#answered();
    return this.#referrers.get(digest) ?? [];
  }

  async *blob(_registry: string, _repository: string, { digest }: Descriptor) {
    await this.#answered();
    const bytes = this.#contents.get(digest);
    if (bytes === undefined) throw new RegistryError("NotFound", `${digest} does not exist`);
    yield bytes;
  }

  async #answered(): Promise<void> {
    await this.gate;
    if (this.failing !== null) throw new RegistryError(this.failing, "it fails");
  }
}
