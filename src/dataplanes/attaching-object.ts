/**
 * An object of a data plane's platform by which its proxies load filters: an EnvoyFilter of Istio, a MeshProxyPatch of
 * Kuma, and their like. `wasmount attach` prints it as it can be applied.
 */
export interface AttachingObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    /** Left out for objects of the whole cluster. */
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: Readonly<Record<string, unknown>>;
}
