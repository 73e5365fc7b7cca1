import { functionType, leb } from "../encoder.ts";
import { filter } from "../filter.ts";
import { type Case, malloc, memoryExport } from "./case.ts";

const wasi = "wasi_snapshot_preview1";
const proxyLog = functionType("iii:i");
const log = (type: number) => [["env", "proxy_log", [0, type]]] as const;
const table = (...type: readonly number[]) => filter({ rawImports: [["env", "table", [1, ...type]]] });

/** Cases of what a module asks for. */
export const importCases: readonly Case[] = [
  {
    name: "a host function",
    module: filter({ imports: [["env", "proxy_log", "iii:i"]] }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "the same host function twice",
    module: filter({
      imports: [
        ["env", "proxy_log", "iii:i"],
        ["env", "proxy_log", "iii:i"],
      ],
    }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "functions of Envoy and Emscripten",
    module: filter({
      imports: [
        ["env", "envoy_resolve_dns", "iii:i"],
        ["env", "pthread_equal", "ii:i"],
        ["env", "emscripten_notify_memory_growth", "i:"],
      ],
    }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "a 64-bit parameter",
    module: filter({ imports: [["env", "proxy_increment_metric", "iI:i"]] }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "an old WASI function under both module names",
    module: filter({
      imports: [
        [wasi, "fd_write", "iiii:i"],
        ["wasi_unstable", "fd_write", "iiii:i"],
      ],
    }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "a newer WASI function",
    module: filter({ imports: [[wasi, "poll_oneoff", "iiii:i"]] }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "the newest WASI functions",
    module: filter({
      imports: [
        [wasi, "path_unlink_file", "iii:i"],
        ["wasi_unstable", "sock_accept", "iii:i"],
      ],
    }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "a function that nobody has",
    module: filter({ imports: [["env", "proxy_get_weather", "i:i"]] }),
    problems: ["UnknownImport"],
    envoy: "refuses",
  },
  {
    name: "a misspelt function",
    module: filter({ imports: [["env", "proxy_lgo", "iii:i"]] }),
    problems: ["UnknownImport"],
    envoy: "refuses",
  },
  {
    name: "a function of a later WASI",
    module: filter({ imports: [["wasi:io/poll@0.2.0", "poll", "iii:i"]] }),
    problems: ["UnknownImport"],
    envoy: "refuses",
  },
  {
    name: "a WASI function out of env",
    module: filter({ imports: [["env", "fd_write", "iiii:i"]] }),
    problems: ["UnknownImport"],
    envoy: "refuses",
  },
  {
    name: "a host function with a parameter less",
    module: filter({ imports: [["env", "proxy_log", "ii:i"]] }),
    problems: ["ImportType"],
    envoy: "refuses",
  },
  {
    name: "a host function with another result",
    module: filter({ imports: [["env", "proxy_log", "iii:I"]] }),
    problems: ["ImportType"],
    envoy: "refuses",
  },
  {
    name: "a WASI function with another type",
    module: filter({ imports: [[wasi, "fd_seek", "iiii:i"]] }),
    problems: ["ImportType"],
    envoy: "refuses",
  },
  {
    name: "proxy_get_log_level in ABI 0.2.1",
    module: filter({ imports: [["env", "proxy_get_log_level", "i:i"]] }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "proxy_get_log_level in ABI 0.2.0",
    module: filter({ abi: "0_2_0", imports: [["env", "proxy_get_log_level", "i:i"]] }),
    problems: ["ImportNeedsAbi"],
    envoy: "refuses",
  },
  {
    name: "proxy_clear_route_cache in ABI 0.1.0",
    module: filter({ abi: "0_1_0", imports: [["env", "proxy_clear_route_cache", ":i"]] }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "proxy_clear_route_cache in ABI 0.2.1",
    module: filter({ imports: [["env", "proxy_clear_route_cache", ":i"]] }),
    problems: ["ImportNeedsAbi"],
    envoy: "refuses",
  },
  {
    name: "proxy_continue_stream in ABI 0.2.0",
    module: filter({ abi: "0_2_0", imports: [["env", "proxy_continue_stream", "i:i"]] }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "proxy_continue_stream in ABI 0.1.0",
    module: filter({ abi: "0_1_0", imports: [["env", "proxy_continue_stream", "i:i"]] }),
    problems: ["ImportNeedsAbi"],
    envoy: "refuses",
  },
  {
    name: "a type index that doesn't exist",
    module: filter({ rawImports: log(99) }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a kind of import that doesn't exist",
    module: filter({ rawImports: [["env", "proxy_log", [5, 0]]] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a global",
    module: filter({ rawImports: [["env", "g", [3, 0x7f, 0]]] }),
    problems: ["GlobalImport"],
    envoy: "refuses",
  },
  {
    name: "a global neither constant nor mutable",
    module: filter({ rawImports: [["env", "g", [3, 0x7f, 2]]] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "an exception tag",
    module: filter({ rawTypes: [functionType(":")], rawImports: [["env", "tag", [4, 0, 0]]] }),
    problems: ["TagImport"],
    envoy: "crashes",
    difference: "the engine's C API has no word for a tag",
  },
  {
    name: "a tag with an attribute that doesn't exist",
    module: filter({ rawTypes: [functionType(":")], rawImports: [["env", "tag", [4, 1, 0]]] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  { name: "a table of functions", module: table(0x70, 0, 1), problems: [], envoy: "accepts" },
  { name: "a table of functions with a maximum", module: table(0x70, 1, 1, 5), problems: [], envoy: "accepts" },
  { name: "a table of host references", module: table(0x6f, 0, 1), problems: [], envoy: "accepts" },
  { name: "a table with 64-bit indexes", module: table(0x70, 4, 1), problems: ["TableImport"], envoy: "refuses" },
  {
    name: "a table of non-null functions",
    module: table(0x64, 0x70, 0, 1),
    problems: ["TableImport"],
    envoy: "refuses",
  },
  { name: "a table with flags that don't exist", module: table(0x70, 8, 1), problems: ["Malformed"], envoy: "refuses" },
  {
    name: "two tables",
    module: filter({
      rawImports: [
        ["env", "a", [1, 0x70, 0, 1]],
        ["env", "b", [1, 0x70, 0, 1]],
      ],
    }),
    problems: ["TableImport"],
    envoy: "refuses",
  },
  {
    name: "a host function whose type stands alone in a group",
    module: filter({ rawTypes: [[0x4e, 1, ...proxyLog]], rawImports: log(0) }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "a host function whose type is final",
    module: filter({ rawTypes: [[0x4f, 0, ...proxyLog]], rawImports: log(0) }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "a host function whose type is open to subtypes",
    module: filter({ rawTypes: [[0x50, 0, ...proxyLog]], rawImports: log(0) }),
    problems: ["ImportType"],
    envoy: "refuses",
  },
  {
    name: "a host function whose type has a supertype",
    module: filter({
      rawTypes: [
        [0x50, 0, ...proxyLog],
        [0x4f, 1, 0, ...proxyLog],
      ],
      rawImports: log(1),
    }),
    problems: ["ImportType"],
    envoy: "refuses",
  },
  {
    name: "a host function whose type shares a group",
    module: filter({ rawTypes: [[0x4e, 2, ...proxyLog, 0x5f, 0]], rawTypeCount: 2, rawImports: log(0) }),
    problems: ["ImportType"],
    envoy: "refuses",
  },
  {
    name: "a host function whose type is final and shares a group",
    module: filter({ rawTypes: [[0x4e, 2, 0x4f, 0, ...proxyLog, 0x5f, 0]], rawTypeCount: 2, rawImports: log(0) }),
    problems: ["ImportType"],
    envoy: "refuses",
  },
  {
    name: "everything at once",
    module: filter({
      abi: "0_1_0",
      imports: [
        ["env", "nothing", "i:i"],
        ["env", "proxy_get_log_level", "i:i"],
        ["env", "proxy_done", "i:i"],
      ],
      rawImports: [["env", "g", [3, 0x7f, 0]]],
      functions: {},
      memories: [],
      rawExports: [],
    }),
    problems: ["NoMalloc", "UnknownImport", "ImportNeedsAbi", "ImportType", "GlobalImport", "NoMemory"],
    envoy: "refuses",
  },
  {
    name: "a type that isn't a function's",
    module: filter({ rawTypes: [[0x5f, 0]], rawImports: log(0) }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a table of 10,000,001 elements",
    module: filter({ tables: [[0x70, 0, ...leb(10_000_001)]] }),
    problems: ["TableTooLarge"],
    envoy: "refuses",
  },
  {
    name: "a table of 10,000,000 elements",
    module: filter({ tables: [[0x70, 0, ...leb(10_000_000)]], rawExports: [memoryExport], functions: malloc }),
    problems: [],
    envoy: "accepts",
  },
];
