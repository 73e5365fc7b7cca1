import type { AbiVersion } from "./abi-version.ts";
import { type EnvoyVersion, isBefore } from "./envoy-version.ts";
import { signatureText } from "./signature.ts";

/**
 * The functions that Envoy looks for among a module's exports, whatever the ABI version. All are optional; the ones
 * that are there must have these types. Letters as in host-functions.ts.
 * Source: proxy-wasm-cpp-host, FOR_ALL_MODULE_FUNCTIONS and WasmBase::getFunctions; the two of Envoy from its
 * Wasm::getFunctions.
 */
const callbacks: Readonly<Record<string, string>> = {
  proxy_validate_configuration: "ii:i",
  proxy_on_vm_start: "ii:i",
  proxy_on_configure: "ii:i",
  proxy_on_tick: "i:",
  proxy_on_context_create: "ii:",
  proxy_on_new_connection: "i:i",
  proxy_on_downstream_data: "iii:i",
  proxy_on_upstream_data: "iii:i",
  proxy_on_downstream_connection_close: "ii:",
  proxy_on_upstream_connection_close: "ii:",
  proxy_on_request_body: "iii:i",
  proxy_on_request_trailers: "ii:i",
  proxy_on_request_metadata: "ii:i",
  proxy_on_response_body: "iii:i",
  proxy_on_response_trailers: "ii:i",
  proxy_on_response_metadata: "ii:i",
  proxy_on_http_call_response: "iiiii:",
  proxy_on_grpc_receive: "iii:",
  proxy_on_grpc_close: "iii:",
  proxy_on_grpc_receive_initial_metadata: "iii:",
  proxy_on_grpc_receive_trailing_metadata: "iii:",
  proxy_on_queue_ready: "ii:",
  proxy_on_done: "i:i",
  proxy_on_log: "i:",
  proxy_on_delete: "i:",
  envoy_on_resolve_dns: "iii:",
  envoy_on_stats_update: "ii:",
};

/** Callbacks of ABI 0.1.0. */
const callbacks01: Readonly<Record<string, string>> = {
  proxy_on_request_headers: "ii:i",
  proxy_on_response_headers: "ii:i",
};

/** Callbacks of ABI 0.2.0 and 0.2.1: the headers callbacks got a parameter, "end of stream". */
const callbacks02: Readonly<Record<string, string>> = {
  proxy_on_request_headers: "iii:i",
  proxy_on_response_headers: "iii:i",
  proxy_on_foreign_function: "iii:",
};

/** What Envoy calls in a module while it filters, in ABIs of any version. */
export const callbackNames: readonly string[] = [
  ...new Set([callbacks, callbacks01, callbacks02].flatMap(functions => Object.keys(functions))),
];

/** The type of both functions that Envoy takes for allocating memory in the module. */
const allocate = "i:i";

/** The first Envoy that looks for `__main_void` (proxy-wasm-cpp-host e55d150, of March 2026). */
const mainVoidSince: EnvoyVersion = { major: 1, minor: 39 };

/**
 * The types that the exports of a module must have where Envoy looks for them: name to type. It depends on what
 * else is exported: `_start` matters only without `_initialize`, `main` only with it, and
 * `proxy_on_memory_allocate` only without `malloc`.
 */
export function expectedExports(
  exported: ReadonlySet<string>,
  abi: AbiVersion | null,
  envoy: EnvoyVersion,
): ReadonlyMap<string, string> {
  const signatures: [string, string][] = Object.entries(callbacks);
  if (abi !== null) signatures.push(...Object.entries(abi === "0.1.0" ? callbacks01 : callbacks02));
  signatures.push(exported.has("malloc") ? ["malloc", allocate] : ["proxy_on_memory_allocate", allocate]);
  if (exported.has("_initialize")) {
    signatures.push(["_initialize", ":"], ["main", "ii:i"]);
    if (!isBefore(envoy, mainVoidSince)) signatures.push(["__main_void", ":i"]);
  } else {
    signatures.push(["_start", ":"]);
  }
  return new Map(signatures.map(([name, signature]) => [name, signatureText(signature)]));
}
