/** What is read of images at most. What is larger is refused, never cut. */
export interface ContentLimits {
  /** Largest blob, and largest module after decompression, in bytes. */
  readonly moduleBytes: number;
  /** Largest manifest, index, image config or page of a list, in bytes. */
  readonly manifestBytes: number;
  /** Layers of one image's manifest. */
  readonly layers: number;
  /** Manifests that one index lists. */
  readonly indexEntries: number;
  /** Bytes that a compressed layer unpacks to, per byte of its own. */
  readonly unpackRatio: number;
}

/** What is read of signatures at most, for one digest. A longer list is refused, never cut. */
export interface EvidenceLimits {
  /** Largest manifest that holds signatures, in bytes. */
  readonly signatureManifestBytes: number;
  /** Signatures under cosign's tag of one image. */
  readonly signatures: number;
  /** Referrers of one manifest, of the type asked for. */
  readonly referrers: number;
  /** Largest Sigstore bundle, in bytes. */
  readonly bundleBytes: number;
  /** Largest payload of a signature of cosign's older form, in bytes. cosign's own are below 1 KiB. */
  readonly payloadBytes: number;
}

/** What a registry may cost whoever runs an image, all of it for the operator to set. */
export interface FetchLimits extends ContentLimits, EvidenceLimits {
  /** Pages of a list of referrers. */
  readonly referrerPages: number;
  /** Largest answer of a token realm, in bytes. */
  readonly tokenBytes: number;
  /** Bytes that are read of an answer that is an error. The rest is left. */
  readonly errorBytes: number;
  /** Redirects that one request follows. */
  readonly redirects: number;
  /** Connections to one host at a time. */
  readonly connections: number;
}

/** The limits of lists too that only people ask for. */
export interface RegistryLimits extends FetchLimits {
  /** Tags of one repository. */
  readonly tags: number;
  /** Pages of a list of tags. */
  readonly tagPages: number;
}

export const FETCH_LIMITS: FetchLimits = {
  moduleBytes: 64 * 1024 * 1024,
  manifestBytes: 4 * 1024 * 1024,
  layers: 256,
  indexEntries: 64,
  // Modules stay below 10; deflate reaches 1000 on zeros.
  unpackRatio: 20,
  signatureManifestBytes: 1024 * 1024,
  signatures: 50,
  referrers: 32,
  // Two would do for 32, but a registry is free to put less than 16 on a page.
  referrerPages: 4,
  bundleBytes: 1024 * 1024,
  payloadBytes: 64 * 1024,
  tokenBytes: 128 * 1024,
  errorBytes: 8 * 1024,
  redirects: 5,
  connections: 4,
};

export const FETCH_LIMIT_NAMES = Object.keys(FETCH_LIMITS) as readonly (keyof FetchLimits)[];

export const DEFAULT_LIMITS: RegistryLimits = { ...FETCH_LIMITS, tags: 10_000, tagPages: 128 };
