/** The data planes that an operator names, because their proxies get filters by objects that wasmount doesn't install. */
export const NAMED_DATA_PLANES = ["kuma", "consul", "envoy-gateway", "gloo", "higress"] as const;
export type NamedDataPlane = (typeof NAMED_DATA_PLANES)[number];
