import type { AbiVersion } from "./abi-version.ts";
import type { EnvoyVersion } from "./envoy-version.ts";
import { signatureText } from "./signature.ts";

/**
 * The functions that Envoy offers to a module. Signatures in letters: i is i32, I is i64; parameters, a colon,
 * results. Source: proxy-wasm-cpp-host, include/proxy-wasm/exports.h and WasmBase::registerCallbacks; Envoy's own
 * `envoy_resolve_dns` from its Wasm::registerCallbacks.
 */
const environment = {
  proxy_log: "iii:i",
  proxy_get_status: "iii:i",
  proxy_set_property: "iiii:i",
  proxy_get_property: "iiii:i",
  proxy_send_local_response: "iiiiiiii:i",
  proxy_get_shared_data: "iiiii:i",
  proxy_set_shared_data: "iiiii:i",
  proxy_register_shared_queue: "iii:i",
  proxy_resolve_shared_queue: "iiiii:i",
  proxy_dequeue_shared_queue: "iii:i",
  proxy_enqueue_shared_queue: "iii:i",
  proxy_get_header_map_value: "iiiii:i",
  proxy_add_header_map_value: "iiiii:i",
  proxy_replace_header_map_value: "iiiii:i",
  proxy_remove_header_map_value: "iii:i",
  proxy_get_header_map_pairs: "iii:i",
  proxy_set_header_map_pairs: "iii:i",
  proxy_get_header_map_size: "ii:i",
  proxy_get_buffer_status: "iii:i",
  proxy_get_buffer_bytes: "iiiii:i",
  proxy_set_buffer_bytes: "iiiii:i",
  proxy_http_call: "iiiiiiiiii:i",
  proxy_grpc_call: "iiiiiiiiiiii:i",
  proxy_grpc_stream: "iiiiiiiii:i",
  proxy_grpc_close: "i:i",
  proxy_grpc_cancel: "i:i",
  proxy_grpc_send: "iiii:i",
  proxy_set_tick_period_milliseconds: "i:i",
  proxy_get_current_time_nanoseconds: "i:i",
  proxy_define_metric: "iiii:i",
  proxy_increment_metric: "iI:i",
  proxy_record_metric: "iI:i",
  proxy_get_metric: "ii:i",
  proxy_set_effective_context: "i:i",
  proxy_done: ":i",
  proxy_call_foreign_function: "iiiiii:i",
  pthread_equal: "ii:i",
  emscripten_notify_memory_growth: "i:",
  envoy_resolve_dns: "iii:i",
} as const;

/** Functions of module `env` that only some versions of the ABI have. */
const environmentByAbi: readonly (readonly [string, string, readonly AbiVersion[]])[] = [
  ["proxy_get_configuration", "ii:i", ["0.1.0"]],
  ["proxy_continue_request", ":i", ["0.1.0"]],
  ["proxy_continue_response", ":i", ["0.1.0"]],
  ["proxy_clear_route_cache", ":i", ["0.1.0"]],
  ["proxy_continue_stream", "i:i", ["0.2.0", "0.2.1"]],
  ["proxy_close_stream", "i:i", ["0.2.0", "0.2.1"]],
  ["proxy_get_log_level", "i:i", ["0.2.1"]],
];

/** WASI, all Envoys. */
const wasi = {
  fd_write: "iiii:i",
  fd_read: "iiii:i",
  fd_seek: "iIii:i",
  fd_close: "i:i",
  fd_fdstat_get: "ii:i",
  environ_get: "ii:i",
  environ_sizes_get: "ii:i",
  args_get: "ii:i",
  args_sizes_get: "ii:i",
  clock_time_get: "iIi:i",
  random_get: "ii:i",
  proc_exit: "i:",
  path_open: "iiiiiIIii:i",
  fd_prestat_get: "ii:i",
  fd_prestat_dir_name: "iii:i",
} as const;

/** WASI, from Envoy 1.33 on (proxy-wasm-cpp-host c4d7bb0). */
const wasiFrom33 = {
  fd_fdstat_set_flags: "ii:i",
  sched_yield: ":i",
  poll_oneoff: "iiii:i",
} as const;

/** WASI, from Envoy 1.39 on (proxy-wasm-cpp-host 94091cd): the rest of preview 1. */
const wasiFrom39 = {
  fd_fdstat_set_rights: "iII:i",
  clock_res_get: "ii:i",
  fd_advise: "iIIi:i",
  fd_allocate: "iII:i",
  fd_datasync: "i:i",
  fd_filestat_set_size: "iI:i",
  fd_filestat_set_times: "iIIi:i",
  fd_pread: "iiiIi:i",
  fd_pwrite: "iiiIi:i",
  fd_readdir: "iiiIi:i",
  fd_renumber: "ii:i",
  fd_sync: "i:i",
  fd_tell: "ii:i",
  path_create_directory: "iii:i",
  path_filestat_set_times: "iiiiIIi:i",
  path_link: "iiiiii:i",
  path_readlink: "iiiiii:i",
  path_remove_directory: "iii:i",
  path_rename: "iiiiii:i",
  path_symlink: "iiii:i",
  path_unlink_file: "iii:i",
  sock_accept: "iii:i",
  sock_recv: "iiiiii:i",
  sock_send: "iiiii:i",
  sock_shutdown: "ii:i",
  path_filestat_get: "iiiii:i",
  fd_filestat_get: "ii:i",
} as const;

/** One function of the host. */
export interface HostFunction {
  readonly module: string;
  readonly name: string;
  /** As "(i32, i32) -> i32". */
  readonly type: string;
  /** The first Envoy release that has it; null for all of them. */
  readonly since: EnvoyVersion | null;
  /** The ABI versions that have it; null for all of them. */
  readonly abis: readonly AbiVersion[] | null;
}

/** The modules that functions are imported from; both names of WASI give the same functions. */
export const hostModules = ["env", "wasi_snapshot_preview1", "wasi_unstable"] as const;

const wasiFunctions: readonly (readonly [Readonly<Record<string, string>>, EnvoyVersion | null])[] = [
  [wasi, null],
  [wasiFrom33, { major: 1, minor: 33 }],
  [wasiFrom39, { major: 1, minor: 39 }],
];

function* everyFunction(): Generator<HostFunction> {
  for (const [name, signature] of Object.entries(environment))
    yield { module: "env", name, type: signatureText(signature), since: null, abis: null };
  for (const [name, signature, abis] of environmentByAbi)
    yield { module: "env", name, type: signatureText(signature), since: null, abis };
  for (const module of hostModules.slice(1))
    for (const [functions, since] of wasiFunctions)
      for (const [name, signature] of Object.entries(functions))
        yield { module, name, type: signatureText(signature), since, abis: null };
}

/** Every function of every Envoy and ABI version, by module, then by name. */
export const hostFunctions: ReadonlyMap<string, ReadonlyMap<string, HostFunction>> = new Map(
  [...Map.groupBy(everyFunction(), ({ module }) => module)].map(([module, functions]) => [
    module,
    new Map(functions.map(entry => [entry.name, entry])),
  ]),
);
