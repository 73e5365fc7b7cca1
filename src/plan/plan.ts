import { NAMED_DATA_PLANES } from "../config/named-data-plane.ts";
import type { Phase } from "../envoy/discovered-filter.ts";
import type { RuntimeFailure } from "../envoy/filter-file.ts";
import type { ResourceRequirements } from "../kube/pod.ts";
import type { FetchLimits } from "../oci/limits.ts";
import type { Rule } from "../trust/rule.ts";

/**
 * The plan: what the webhook decided for one pod and the fetcher executes. It carries everything the fetcher
 * needs (pinned digests, limits, what to write), so that the fetcher needs no access to the API server.
 * Canonical form and hash: canonical.ts. Transport through the fetcher's environment: transport.ts.
 */
export interface Plan {
  /** Version of this document's shape. A fetcher accepts its own version only. */
  readonly schema: typeof PLAN_SCHEMA;
  /** The pod's namespace. */
  readonly namespace: string;
  /** The kind of proxy the filters are attached to. */
  readonly dataPlane: DataPlaneName;
  /** The Envoy release, "major.minor", whose host functions a module may import. */
  readonly envoyVersion: string;
  /** Absolute path of the shared volume, the same in the fetcher and in the proxy. */
  readonly root: string;
  /** The filters, in chain order inside each phase. */
  readonly filters: readonly PlanFilter[];
  /** The bootstrap to edit, for data planes with a static one. */
  readonly bootstrap: PlanBootstrap | null;
  readonly limits: PlanLimits;
  /** How to speak to the registries that the operator named; any other is HTTPS with the public CAs. */
  readonly registries: readonly PlanRegistry[];
  /** How registries are reached; without it directly, and at public addresses but for those that are named above. */
  readonly network?: PlanNetwork;
  /** What the filters' images have to pass, complete; left out where no policy is for any of them. */
  readonly rules?: readonly Rule[];
  /** Where the pod's pull secrets are mounted; null where it has none. */
  readonly pullSecrets: PlanPullSecrets | null;
  readonly fetcher: PlanFetcher;
}

export const PLAN_SCHEMA = 1;

/** The kinds of proxies that there are adapters for. */
export const DATA_PLANE_NAMES = ["envoy", "istio", ...NAMED_DATA_PLANES] as const;
export type DataPlaneName = (typeof DATA_PLANE_NAMES)[number];

export type OnFailure = "block" | "open";

/**
 * What the fetcher was given to run with. It reads none of this: with the plan it is signed, so that a replica of
 * another release or configuration can tell, while one takes over from the other, that the fetcher is as it was made.
 */
export interface PlanFetcher {
  readonly image: string;
  readonly imagePullPolicy: "Always" | "IfNotPresent" | "Never";
  /** What the pod was given to pull that image with, beside its own; left out where that is nothing. */
  readonly imagePullSecrets?: readonly string[];
  readonly resources: ResourceRequirements;
  /** The sizeLimit of the shared volume, a quantity. */
  readonly volumeSize: string;
}

export interface PlanPullSecrets {
  /** Absolute path of the folder in the fetcher: the docker configuration of secret k is the file `<k>.json`. */
  readonly folder: string;
  /** The secrets' names, in the order in which they are tried. One that doesn't exist has no file. */
  readonly names: readonly string[];
}

/** One filter of the plan: a module, its configuration and its place in the chain. */
export interface PlanFilter {
  /** A DNS label, unique in the plan. */
  readonly name: string;
  /** The slot that the filter's file fills, such as "in-last-01". */
  readonly slot: string;
  readonly phase: Phase;
  /** Registry and repository, "registry.example/team/filter", without tag or digest. */
  readonly repository: string;
  /** The digest of the manifest or index that the fetcher must get: "sha256:<64 hex>". */
  readonly digest: string;
  /** The reference as the author wrote it: rules may ask for a digest, or for tags. */
  readonly reference: string;
  /** Text handed to the module as its plugin configuration, or null for none. */
  readonly config: string | null;
  /** Proxy-Wasm root id; null means the image's first one, else the empty one. */
  readonly rootId: string | null;
  /** What becomes of the pod when the module can't be had: it doesn't start, or a module that does nothing takes its place. */
  readonly onFailure: OnFailure;
  /** What becomes of requests when the module traps. */
  readonly runtimeFailure: RuntimeFailure;
  /** The host functions that the module may call; null for all. */
  readonly capabilities: readonly string[] | null;
  /** What of the plan's rules is for its image; left out where no policy is. */
  readonly trust?: FilterTrust;
}

export interface FilterTrust {
  /** Their names, as `Rule.policy` has them. */
  readonly rules: readonly string[];
  /** Whether admission could not ask, so that the fetcher is the first to verify the image. */
  readonly deferred: boolean;
}

export interface PlanBootstrap {
  /** Absolute path, in the fetcher, of the Envoy configuration that the pod's author mounted. */
  readonly source: string;
  /** Absolute path of the edited copy, below the plan's root. */
  readonly target: string;
  /** The rest of the author's mount, copied too where the proxy's mount is swapped for ours; else null. */
  readonly copy: { readonly from: string; readonly to: string } | null;
}

/** What registries may cost the fetcher. What is left out, beside these, is at the default that it has itself. */
export interface PlanLimits extends Partial<FetchLimits> {
  /** Largest module, in bytes, decompressed. */
  readonly moduleBytes: number;
  /** Largest manifest, index or image config, in bytes. */
  readonly manifestBytes: number;
  /** Budget for everything the fetcher asks of registries, in milliseconds. */
  readonly deadlineMs: number;
}

/**
 * What the operator's configuration says of a registry and everybody may know: whoever may read a pod may read its plan.
 * So a fetcher shows no client certificate. A registry that wants one serves fetchers through a mirror that doesn't.
 */
export interface PlanRegistry {
  /** Host with its port where there is one: "registry.example:5000". */
  readonly host: string;
  /** Speak HTTP without TLS. */
  readonly plainHttp: boolean;
  /** Take any certificate. Left out: no. */
  readonly insecureTls?: boolean;
  /** PEM of the only authorities that vouch for the registry. Left out: the public ones. */
  readonly ca?: string;
  /** Asked first, in this order. */
  readonly mirrors?: readonly PlanMirror[];
}

export interface PlanMirror {
  readonly host: string;
  /** What stands before repositories there, "" for nothing. */
  readonly prefix: string;
  /** Whether it is believed what no digest proves. */
  readonly resolveTags: boolean;
}

export interface PlanNetwork {
  readonly privateAddresses: "Allow" | "Deny";
  /** Without credentials. */
  readonly proxy: { readonly http: string | null; readonly https: string | null; readonly no: string } | null;
}
