import type { ResourceRequirements } from "../kube/pod.ts";

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
  };
  readonly tls: { readonly certFile: string; readonly keyFile: string };
  readonly fetcher: {
    readonly image: string;
    readonly imagePullPolicy: "Always" | "IfNotPresent" | "Never";
    readonly resources: ResourceRequirements;
  };
  readonly volume: { readonly mountPath: string; readonly sizeLimit: string };
  readonly envoy: { readonly version: string };
  readonly plan: {
    /** PEM file of the Ed25519 key that plans are signed with; null leaves them unsigned. */
    readonly signingKeyFile: string | null;
  };
  readonly reference: { readonly requireDigest: boolean };
  readonly registries: readonly { readonly host: string; readonly plainHttp: boolean }[];
  readonly limits: {
    readonly filters: number;
    readonly configBytes: number;
    readonly moduleBytes: number;
    readonly manifestBytes: number;
    /** Budget of one admission for asking registries, in seconds. */
    readonly resolveSeconds: number;
    /** Budget of one run of the fetcher for asking registries, in seconds. */
    readonly fetchSeconds: number;
  };
  readonly log: { readonly level: "debug" | "info" | "warn" | "error" };
}
