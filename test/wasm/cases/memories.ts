import { leb } from "../encoder.ts";
import { filter } from "../filter.ts";
import { type Case, malloc, memoryExport } from "./case.ts";

const imported = (...type: readonly number[]) =>
  filter({ memories: [], rawImports: [["env", "memory", [2, ...type]]], rawExports: [] });

/** A filter that logs while it starts, which makes the host read its memory. */
const logging = {
  imports: [["env", "proxy_log", "iii:i"]],
  functions: { ...malloc, _initialize: ":" },
  bodies: { _initialize: [0x41, 2, 0x41, 0, 0x41, 0, 0x10, 0, 0x1a] },
} as const;

/** Cases of a module's memory. */
export const memoryCases: readonly Case[] = [
  {
    name: "a memory under another name",
    module: filter({ rawExports: [["storage", 2, 0]] }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "one memory under two names",
    module: filter({ rawExports: [memoryExport, ["again", 2, 0]] }),
    problems: [],
    envoy: "accepts",
  },
  { name: "a memory that is used while it starts", module: filter(logging), problems: [], envoy: "accepts" },
  {
    name: "no memory, and a host call while it starts",
    module: filter({ ...logging, memories: [], rawExports: [] }),
    problems: ["NoMemory"],
    envoy: "crashes",
    difference: "Envoy reads through a null pointer on the first host call that takes one",
  },
  {
    name: "a memory that isn't exported, and a host call while it starts",
    module: filter({ ...logging, rawExports: [] }),
    problems: ["NoMemory"],
    envoy: "crashes",
    difference: "as without any memory: Envoy finds it by its export",
  },
  {
    name: "no memory, and no host call while it starts",
    module: filter({ memories: [], rawExports: [] }),
    problems: ["NoMemory"],
    envoy: "accepts",
    difference: "Envoy would crash later, at the first host call, with requests in flight",
  },
  {
    name: "two memories, one exported",
    module: filter({
      memories: [
        [0, 1],
        [0, 1],
      ],
    }),
    problems: ["ManyMemories"],
    envoy: "accepts",
    difference: "the engine can do it, but the host's pointers mean one memory, and it asserts that there is one",
  },
  {
    name: "two memories, both exported",
    module: filter({
      memories: [
        [0, 1],
        [0, 1],
      ],
      rawExports: [memoryExport, ["other", 2, 1]],
    }),
    problems: ["ManyMemories"],
    envoy: "accepts",
    difference: "as above; the last one exported would win",
  },
  {
    name: "a memory of its own beside an imported one",
    module: filter({ rawImports: [["env", "memory", [2, 0, 1]]], rawExports: [["memory", 2, 1]] }),
    problems: ["ManyMemories"],
    envoy: "accepts",
    difference: "as above",
  },
  {
    name: "64-bit addresses",
    module: filter({ memories: [[4, 1]] }),
    problems: ["Memory64"],
    envoy: "accepts",
    difference: "it loads, but every host function takes 32-bit pointers, so nothing beyond 4 GiB can be handed over",
  },
  {
    name: "a shared memory",
    module: filter({ memories: [[3, 1, 2]] }),
    problems: ["SharedMemory"],
    envoy: "accepts",
    difference: "it loads, but the host reads it without synchronisation, and Envoy has no threads to share it with",
  },
  {
    name: "a shared memory without a maximum",
    module: filter({ memories: [[2, 1]] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  { name: "flags that don't exist", module: filter({ memories: [[8, 1]] }), problems: ["Malformed"], envoy: "refuses" },
  { name: "1 GiB", module: filter({ memories: [[0, ...leb(16_384)]] }), problems: [], envoy: "accepts" },
  {
    name: "1 GiB and a page",
    module: filter({ memories: [[0, ...leb(16_385)]] }),
    problems: ["MemoryTooLarge"],
    envoy: "refuses",
  },
  {
    name: "4 GiB and a page",
    module: filter({ memories: [[0, ...leb(65_537)]] }),
    problems: ["MemoryTooLarge"],
    envoy: "refuses",
  },
  {
    name: "a maximum of 4 GiB",
    module: filter({ memories: [[1, 1, ...leb(65_536)]] }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "a maximum of 4 GiB and a page",
    module: filter({ memories: [[1, 1, ...leb(65_537)]] }),
    problems: ["MemoryTooLarge"],
    envoy: "refuses",
  },
  {
    name: "a maximum below the start",
    module: filter({ memories: [[1, 2, 1]] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  { name: "an imported memory", module: imported(0, 1), problems: [], envoy: "accepts" },
  {
    name: "an imported memory with a maximum of 4 GiB",
    module: imported(1, 1, ...leb(65_536)),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "an imported memory that is exported too",
    module: filter({ memories: [], rawImports: [["env", "memory", [2, 0, 1]]] }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "an imported memory of 1 GiB and a page",
    module: imported(0, ...leb(16_385)),
    problems: ["MemoryTooLarge"],
    envoy: "refuses",
  },
  { name: "an imported shared memory", module: imported(3, 1, 2), problems: ["SharedMemory"], envoy: "refuses" },
  {
    name: "an imported memory with 64-bit addresses",
    module: imported(4, 1),
    problems: ["Memory64"],
    envoy: "refuses",
  },
];
