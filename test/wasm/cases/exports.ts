import { abiFacts } from "../abi-facts.ts";
import { filter } from "../filter.ts";
import { type Case, malloc, memoryExport } from "./case.ts";

const constant = [0x7f, 0, 0x41, 0, 0x0b];
const exporting = (functions: Readonly<Record<string, string>>, abi = "0_2_1") =>
  filter({ abi, functions: { ...malloc, ...functions } });

const callbacks = {
  proxy_validate_configuration: "ii:i",
  proxy_on_context_create: "ii:",
  proxy_on_request_body: "iii:i",
  proxy_on_http_call_response: "iiiii:",
  proxy_on_done: "i:i",
  proxy_on_log: "i:",
};

/** One case for each function that Envoy looks for: with a parameter too many. */
const strangeCallbacks: readonly Case[] = [
  ...Object.entries({ ...abiFacts.callbacks.all, ...abiFacts.callbacks["0.2.x"] }).map(
    ([name, type]) => [name, type, "0_2_1"] as const,
  ),
  ...Object.entries(abiFacts.callbacks["0.1.0"]).map(([name, type]) => [name, type, "0_1_0"] as const),
].map(([name, type, abi]) => ({
  name: `${name} with a parameter too many, ABI ${abi.replaceAll("_", ".")}`,
  module: exporting({ [name]: `i${type}` }, abi),
  problems: ["ExportType"],
  envoy: "refuses",
}));

/** Cases of what a module gives. */
export const exportCases: readonly Case[] = [
  { name: "the smallest filter, ABI 0.2.1", module: filter(), problems: [], envoy: "accepts" },
  { name: "the smallest filter, ABI 0.2.0", module: filter({ abi: "0_2_0" }), problems: [], envoy: "accepts" },
  { name: "the smallest filter, ABI 0.1.0", module: filter({ abi: "0_1_0" }), problems: [], envoy: "accepts" },
  { name: "no ABI", module: filter({ abi: null }), problems: ["NoAbi"], envoy: "refuses" },
  { name: "ABI 0.3.0", module: filter({ abi: "0_3_0" }), problems: ["NoAbi"], envoy: "refuses" },
  {
    name: "an ABI marker that is a global",
    module: filter({ abi: null, globals: [constant], rawExports: [memoryExport, ["proxy_abi_version_0_2_1", 3, 0]] }),
    problems: ["NoAbi"],
    envoy: "refuses",
  },
  {
    name: "an ABI marker with parameters",
    module: filter({ abi: null, functions: { ...malloc, proxy_abi_version_0_2_1: "ii:i" } }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "two ABI markers, the first decides",
    module: exporting({ proxy_abi_version_0_1_0: ":", proxy_on_request_headers: "iii:i" }),
    problems: [],
    envoy: "accepts",
  },
  { name: "no malloc", module: filter({ functions: {} }), problems: ["NoMalloc"], envoy: "refuses" },
  {
    name: "a table named malloc",
    module: filter({ functions: {}, tables: [[0x70, 0, 1]], rawExports: [memoryExport, ["malloc", 1, 0]] }),
    problems: ["NoMalloc"],
    envoy: "refuses",
  },
  {
    name: "malloc with 64-bit sizes",
    module: filter({ functions: { malloc: "I:I" } }),
    problems: ["ExportType"],
    envoy: "refuses",
  },
  {
    name: "proxy_on_memory_allocate instead of malloc",
    module: filter({ functions: { proxy_on_memory_allocate: "i:i" } }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "proxy_on_memory_allocate with another type",
    module: filter({ functions: { proxy_on_memory_allocate: ":" } }),
    problems: ["ExportType"],
    envoy: "refuses",
  },
  {
    name: "proxy_on_memory_allocate with another type beside malloc",
    module: exporting({ proxy_on_memory_allocate: ":" }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "malloc with another type beside proxy_on_memory_allocate",
    module: filter({ functions: { malloc: ":", proxy_on_memory_allocate: "i:i" } }),
    problems: ["ExportType"],
    envoy: "refuses",
  },
  { name: "good callbacks", module: exporting(callbacks), problems: [], envoy: "accepts" },
  {
    name: "a callback with a parameter less",
    module: exporting({ proxy_on_log: ":" }),
    problems: ["ExportType"],
    envoy: "refuses",
  },
  {
    name: "a callback without its result",
    module: exporting({ proxy_on_done: "i:" }),
    problems: ["ExportType"],
    envoy: "refuses",
  },
  {
    name: "a callback that is a global",
    module: filter({ globals: [constant], rawExports: [memoryExport, ["proxy_on_log", 3, 0]] }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "a callback that only SDKs know",
    module: exporting({ proxy_on_grpc_create_initial_metadata: ":" }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "three parameters for headers in ABI 0.2.1",
    module: exporting({ proxy_on_request_headers: "iii:i", proxy_on_response_headers: "iii:i" }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "two parameters for request headers in ABI 0.2.1",
    module: exporting({ proxy_on_request_headers: "ii:i" }),
    problems: ["ExportType"],
    envoy: "refuses",
  },
  {
    name: "two parameters for response headers in ABI 0.2.0",
    module: exporting({ proxy_on_response_headers: "ii:i" }, "0_2_0"),
    problems: ["ExportType"],
    envoy: "refuses",
  },
  {
    name: "two parameters for headers in ABI 0.1.0",
    module: exporting({ proxy_on_request_headers: "ii:i", proxy_on_response_headers: "ii:i" }, "0_1_0"),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "proxy_on_foreign_function with another type in ABI 0.1.0, which doesn't have it",
    module: exporting({ proxy_on_foreign_function: ":" }, "0_1_0"),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "Envoy's own callbacks",
    module: exporting({ envoy_on_resolve_dns: "iii:", envoy_on_stats_update: "ii:" }),
    problems: [],
    envoy: "accepts",
  },
  ...strangeCallbacks,
  { name: "_start with a parameter", module: exporting({ _start: "i:" }), problems: ["ExportType"], envoy: "refuses" },
  {
    name: "_start with a parameter beside _initialize, which goes first",
    module: exporting({ _start: "i:", _initialize: ":" }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "_initialize with a parameter",
    module: exporting({ _initialize: "i:" }),
    problems: ["ExportType"],
    envoy: "refuses",
  },
  {
    name: "main with another type, which nobody calls",
    module: exporting({ main: "i:" }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "main with another type beside _initialize",
    module: exporting({ main: "i:", _initialize: ":" }),
    problems: ["ExportType"],
    envoy: "refuses",
  },
  {
    name: "__main_void with another type beside _initialize",
    module: exporting({ __main_void: ":", _initialize: ":" }),
    problems: ["ExportType"],
    envoy: "refuses",
  },
  {
    name: "main and __main_void as they should be",
    module: exporting({ main: "ii:i", __main_void: ":i", _initialize: ":" }),
    problems: [],
    envoy: "accepts",
  },
  { name: "any other function", module: exporting({ anything: "iIfF:if" }), problems: [], envoy: "accepts" },
  {
    name: "one name twice",
    module: filter({ rawExports: [memoryExport, memoryExport] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a function that doesn't exist",
    module: filter({ rawExports: [memoryExport, ["f", 0, 2]] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a table that doesn't exist",
    module: filter({ rawExports: [memoryExport, ["t", 1, 0]] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a memory that doesn't exist",
    module: filter({ rawExports: [["memory", 2, 1]] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a global that doesn't exist",
    module: filter({ rawExports: [memoryExport, ["g", 3, 0]] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a tag that doesn't exist",
    module: filter({ rawExports: [memoryExport, ["t", 4, 0]] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
];
