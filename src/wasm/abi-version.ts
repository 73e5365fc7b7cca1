/** A version of the Proxy-Wasm ABI that Envoy runs. */
export type AbiVersion = "0.1.0" | "0.2.0" | "0.2.1";

/** The exported function that declares each version. */
export const abiMarkers: ReadonlyMap<string, AbiVersion> = new Map([
  ["proxy_abi_version_0_1_0", "0.1.0"],
  ["proxy_abi_version_0_2_0", "0.2.0"],
  ["proxy_abi_version_0_2_1", "0.2.1"],
]);
