import type { ResourceRequirements } from "../kube/pod.ts";
import type { FetchLimits } from "../oci/limits.ts";
import type { NamedDataPlane } from "./named-data-plane.ts";

/** The operator's configuration, with every default filled in. The file it is read from: load.ts. */
export interface Config {
  readonly listen: {
    readonly address: string;
    /** HTTPS: admission. */
    readonly port: number;
    /** HTTP: /livez, /readyz and /metrics. */
    readonly plainPort: number;
    /** Seconds between "not ready" and the end of accepting, for endpoints to be withdrawn. */
    readonly drainSeconds: number;
    readonly lingerSeconds: number;
    /** Of the HTTPS server, at a time. */
    readonly maxConnections: number;
    /** Bytes of the reviews under way at a time, all together. */
    readonly maxReviewBytes: number;
  };
  /** The serving certificate: files, or one that the webhook makes itself. */
  readonly tls: (CertificateFiles | { readonly self: SelfMadeCertificates }) & {
    /** PEM file of the authorities whose client certificates are asked for; null asks for none. */
    readonly clientCaFile: string | null;
  };
  readonly fetcher: {
    readonly image: string;
    readonly imagePullPolicy: "Always" | "IfNotPresent" | "Never";
    readonly resources: ResourceRequirements;
    /** What pods may ask for at most, by annotation, of each resource that is named here; of others nothing. */
    readonly maxResources: Readonly<Record<string, string>>;
    /** Added to injected pods for the image above, and for nothing else. */
    readonly imagePullSecrets: readonly string[];
    /** Names of environment variables that other webhooks may add to the fetcher. */
    readonly allowedEnvironment: readonly string[];
  };
  readonly volume: { readonly mountPath: string; readonly sizeLimit: string };
  readonly envoy: { readonly version: string };
  readonly plan: {
    /** PEM file of the Ed25519 key that plans are signed with; null leaves them unsigned. */
    readonly signingKeyFile: string | null;
    /** PEM files of further keys whose signatures count, while keys are rotated. */
    readonly verificationKeyFiles: readonly string[];
    /** Secret of keys that the webhook makes itself, in place of files; null for none. */
    readonly keysSecret: string | null;
  };
  readonly pins: {
    /** The operator's own namespace: of records of the digests that tags were pinned to, and of Secrets and policies' materials. */
    readonly namespace: string;
  };
  readonly reference: { readonly requireDigest: boolean };
  readonly policy: {
    /** What goes for an image that no WasmPolicy is for. */
    readonly unmatched: "Deny" | "Warn" | "Allow";
    /** Whether the cluster's WasmPolicies and NamespacedWasmPolicies count. */
    readonly fromCluster: boolean;
    /** Files of policies, beside the cluster's. */
    readonly files: readonly string[];
  };
  /** Credentials that the webhook resolves tags with, for the pods of these namespaces and no others. */
  readonly registryCredentials: readonly {
    /** A docker configuration. */
    readonly file: string;
    readonly namespaces: readonly string[];
    /** As `readRepositoryPattern` reads them. */
    readonly repositories: readonly string[];
  }[];
  readonly registries: readonly RegistryConfig[];
  readonly network: {
    readonly privateAddresses: "Allow" | "Deny";
    readonly proxy: {
      readonly http?: string;
      readonly https?: string;
      readonly no: string;
      /** File with "user:password": never part of this, so that it can't end up in a plan. */
      readonly credentialsFile?: string;
    };
  };
  readonly failure: {
    /** Whether pods may ask, with on-failure "open", to start without a filter that can't be had. */
    readonly allowOpen: boolean;
  };
  readonly istio: {
    /** Whether proxies of Istio get filters. */
    readonly enabled: boolean;
    /** Istio's root namespace, where the EnvoyFilters of slots stand. */
    readonly rootNamespace: string;
    /** Filters that a pod may have in each phase of each direction: as many as are installed. */
    readonly slots: number;
    /** Whether namespaces may let pass what is not HTTP. */
    readonly allowTcp: boolean;
    /** What the image of istio-proxy has to begin with in locked namespaces; any, where none is named. */
    readonly proxyImages: readonly string[];
    /** "key=value" of annotations about redirection that are the mesh's own. */
    readonly allowedAnnotations: readonly string[];
  };
  /** What there is beyond plain Envoy and Istio: their proxies get filters too. */
  readonly dataPlanes: readonly NamedDataPlane[];
  /** What there is to know of Kuma, where it is among {@link dataPlanes}. */
  readonly kuma: {
    /** Where Kuma's control plane runs, and the MeshProxyPatches of slots stand. */
    readonly systemNamespace: string;
    /** The meshes that have slots. */
    readonly meshes: readonly string[];
    /** Filters that a pod may have in each phase of each direction: as many as are installed. */
    readonly slots: number;
    /** Whether namespaces may let pass what is not HTTP. */
    readonly allowTcp: boolean;
  };
  /** What there is to know of Consul, where it is among {@link dataPlanes}. */
  readonly consul: {
    /** Whether pods are denied whose service's ServiceDefaults does not attach their filters. */
    readonly watchServiceDefaults: boolean;
  };
  readonly proxy: {
    /** Labels, of a pod or its namespace, by which another webhook is told to add the proxy. */
    readonly injectedBy: readonly { readonly label: string; readonly value: string }[];
  };
  readonly controller: {
    /** Whether this replica takes part in electing the one that watches all injected pods. */
    readonly enabled: boolean;
    /** The Lease by which it is elected, in the operator's own namespace. */
    readonly lease: string;
  };
  readonly events: { readonly enabled: boolean };
  readonly limits: FetchLimits & {
    readonly filters: number;
    readonly configBytes: number;
    /** Budget of one admission for asking registries, in seconds. */
    readonly resolveSeconds: number;
    /** Budget of one admission for asking registries and the API server, all together, in seconds. */
    readonly reviewSeconds: number;
    /** Budget of one run of the fetcher for asking registries, in seconds. */
    readonly fetchSeconds: number;
  };
  readonly log: { readonly level: "debug" | "info" | "warn" | "error" };
}

/** A serving certificate that somebody else makes. */
export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Serving certificates that every replica signs for itself, with an authority in a Secret that they share. */
export interface SelfMadeCertificates {
  /** Secret of the authority, in the operator's own namespace. */
  readonly caSecret: string;
  /** What API servers call the webhook by. */
  readonly dnsNames: readonly [string, ...string[]];
  /** Name of both registrations, whose entries are told whom to trust. */
  readonly registration: string;
}

/** How to speak to one registry. */
export interface RegistryConfig {
  readonly host: string;
  readonly plainHttp: boolean;
  readonly insecureTls: boolean;
  /** PEM; also what `caFile` held, once the configuration is loaded. */
  readonly ca?: string;
  readonly caFile?: string;
  /** Files, and only their names: a key must not end up in a plan. */
  readonly clientCertFile?: string;
  readonly clientKeyFile?: string;
  readonly mirrors: readonly { readonly host: string; readonly prefix: string; readonly resolveTags: boolean }[];
}
