import { functionType } from "../encoder.ts";
import { filter } from "../filter.ts";
import { type Case, malloc, memoryExport } from "./case.ts";

const zeroVector = [0xfd, 0x0c, ...new Array<number>(16).fill(0)];
const global = (...global: readonly number[]) => filter({ globals: [global], rawExports: [memoryExport, ["g", 3, 0]] });
const table = (...table: readonly number[]) => filter({ tables: [table], rawExports: [memoryExport, ["t", 1, 0]] });
const aborts = "the engine's C API has no word for the type and ends the process, whether it is used or not";

/** Cases of types that can't cross from the engine to Envoy. */
export const foreignTypeCases: readonly Case[] = [
  {
    name: "an exported exception tag",
    module: filter({ rawTypes: [functionType(":")], tags: [[0, 0]], rawExports: [memoryExport, ["tag", 4, 0]] }),
    problems: ["ForeignType"],
    envoy: "crashes",
    difference: aborts,
  },
  {
    name: "an exported function of a v128",
    module: filter({ functions: { ...malloc, f: "v:" } }),
    problems: ["ForeignType"],
    envoy: "crashes",
    difference: aborts,
  },
  {
    name: "an exported function that returns a v128",
    module: filter({ functions: { ...malloc, f: ":v" } }),
    problems: ["ForeignType"],
    envoy: "crashes",
    difference: aborts,
  },
  {
    name: "an exported global of v128",
    module: global(0x7b, 0, ...zeroVector, 0x0b),
    problems: ["ForeignType"],
    envoy: "crashes",
    difference: aborts,
  },
  {
    name: "an exported global of anyref",
    module: global(0x6e, 0, 0xd0, 0x6e, 0x0b),
    problems: ["ForeignType"],
    envoy: "crashes",
    difference: aborts,
  },
  {
    name: "an exported table of anyref",
    module: table(0x6e, 0, 1),
    problems: ["ForeignType"],
    envoy: "crashes",
    difference: aborts,
  },
  {
    name: "an exported table of one function type",
    module: table(0x63, 0, 0, 1),
    problems: ["ForeignType"],
    envoy: "crashes",
    difference: aborts,
  },
  {
    name: "a table of anyref that stays inside",
    module: filter({ tables: [[0x6e, 0, 1]] }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "an imported function of a v128",
    module: filter({ imports: [["env", "proxy_log", "v:i"]] }),
    problems: ["ImportType", "ForeignType"],
    envoy: "crashes",
    difference: aborts,
  },
  {
    name: "an imported global of v128",
    module: filter({ rawImports: [["env", "g", [3, 0x7b, 0]]] }),
    problems: ["GlobalImport", "ForeignType"],
    envoy: "crashes",
    difference: aborts,
  },
  {
    name: "an imported table of anyref",
    module: filter({ rawImports: [["env", "t", [1, 0x6e, 0, 1]]] }),
    problems: ["ForeignType"],
    envoy: "crashes",
    difference: aborts,
  },
];
