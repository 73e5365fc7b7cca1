import type { LayoutName } from "../oci/layout.ts";
import type { HashName } from "./public-key.ts";
import type { AttestationRule, EvidenceFormat, Mode, OnRegistryError } from "./rule.ts";

export const POLICY_API_VERSION = "wasmount.dev/v1alpha1";
export type PolicyKind = "WasmPolicy" | "NamespacedWasmPolicy";

/** A policy as it is written, defaults filled in. */
export interface Policy {
  readonly apiVersion: typeof POLICY_API_VERSION;
  readonly kind: PolicyKind;
  /** The namespace is there for a NamespacedWasmPolicy alone. */
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: PolicySpec;
}

export interface PolicySpec {
  readonly match: {
    readonly repositories: readonly string[];
    readonly exclude: readonly string[];
    /** Which namespaces; none given is all. */
    readonly namespaceSelector: LabelSelector;
  };
  readonly mode: Mode;
  readonly onRegistryError: OnRegistryError;
  readonly reference: { readonly requireDigest: boolean; readonly allowedTagPattern: string };
  /** What a module has to be like. The fetcher alone can tell. */
  readonly module: { readonly formats: readonly LayoutName[]; readonly maxBytes?: number };
  readonly verify: {
    readonly minimum: number;
    readonly authorities: readonly PolicyAuthority[];
    readonly source?: { readonly repository: string };
    readonly attestations: readonly AttestationRule[];
  };
}

/** Kubernetes' own. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly LabelRequirement[];
}

export interface LabelRequirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  readonly values?: readonly string[];
}

/** Exactly one of key, keyless and digests says what it is. */
export interface PolicyAuthority {
  readonly name: string;
  readonly key?: PolicyKey;
  readonly keyless?: PolicyKeyless;
  readonly digests?: readonly string[];
  readonly formats: readonly EvidenceFormat[];
  readonly identity: "MatchRepository" | "RemapPrefix" | "Ignore";
  /** Goes with the identity RemapPrefix, and only with it. */
  readonly remapPrefix?: { readonly from: string; readonly to: string };
  readonly annotations: Readonly<Record<string, string>>;
}

export interface PolicyKey {
  readonly pem?: string;
  /** In the operator's own namespace. */
  readonly secretRef?: { readonly name: string; readonly key: string };
  readonly hash?: HashName;
}

export interface PolicyKeyless {
  readonly trustedRootRef: { readonly configMap: string; readonly key: string };
  readonly identities: readonly { readonly issuer: string; readonly subject: string }[];
  readonly tlogThreshold: number;
  readonly ctlogThreshold: number;
  readonly timestampThreshold: 1;
}

/** How reports name a policy: "WasmPolicy/release", "NamespacedWasmPolicy/team/release". */
export function policyName({ kind, metadata }: Pick<Policy, "kind" | "metadata">): string {
  return [kind, ...(metadata.namespace === undefined ? [] : [metadata.namespace]), metadata.name].join("/");
}
