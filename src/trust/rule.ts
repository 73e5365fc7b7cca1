import type { LayoutName } from "../oci/layout.ts";
import type { HashName } from "./public-key.ts";

export type Mode = "Enforce" | "Warn" | "Audit";
/** What follows where a registry can't be asked for signatures. "Defer": at admission, the fetcher decides alone. */
export type OnRegistryError = "Deny" | "Defer" | "Warn";
export type EvidenceFormat = "simpleSigning" | "sigstoreBundle";
export type Identity = "MatchRepository" | "Ignore" | { readonly from: string; readonly to: string };

/**
 * What one policy demands of an image that it matches, complete: public keys and trusted roots stand in it as text. Plain
 * JSON with members in a fixed order, so that it can travel in a plan and be hashed for a cache.
 */
export interface Rule {
  /** "WasmPolicy/release" or "NamespacedWasmPolicy/team/release". */
  readonly policy: string;
  readonly mode: Mode;
  readonly onRegistryError: OnRegistryError;
  readonly requireDigest: boolean;
  /** "" for any; "*" stands for any text. */
  readonly allowedTagPattern: string;
  readonly module: ModuleRule;
  readonly minimum: number;
  readonly authorities: readonly Authority[];
  /** Where signatures are, "registry.example/signatures"; null for the image's own repository. */
  readonly source: string | null;
  readonly attestations: readonly AttestationRule[];
}

/** What the module in an image has to be like. */
export interface ModuleRule {
  /** The layouts of images that may hold it; none stands for any. */
  readonly formats: readonly LayoutName[];
  /** Bytes that it may have, decompressed; null for as many as the operator allows. */
  readonly maxBytes: number | null;
}

export type Authority = KeyAuthority | KeylessAuthority | FrozenAuthority;

interface Signed {
  readonly name: string;
  readonly formats: readonly EvidenceFormat[];
  readonly identity: Identity;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface KeyAuthority extends Signed {
  readonly kind: "key";
  readonly pem: string;
  readonly hash: HashName | null;
}

export interface KeylessAuthority extends Signed {
  readonly kind: "keyless";
  /** A Sigstore trusted root, as JSON text. */
  readonly trustedRoot: string;
  readonly identities: readonly CertificateIdentity[];
  /** Different transparency logs that must have the signature. */
  readonly tlogThreshold: number;
  /** Certificate transparency: how many timestamps of it the certificate must have, 0 or 1. */
  readonly ctlogThreshold: number;
}

export interface FrozenAuthority {
  readonly name: string;
  readonly kind: "digests";
  readonly digests: readonly string[];
}

/** Both compared as they are: no pattern, no prefix. */
export interface CertificateIdentity {
  readonly issuer: string;
  readonly subject: string;
}

export interface AttestationRule {
  readonly predicateType: string;
  /** Names of authorities. */
  readonly authorities: readonly string[];
  readonly minimum: number;
}
