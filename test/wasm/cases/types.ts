import { functionType, vector } from "../encoder.ts";
import { filter } from "../filter.ts";
import { type Case, memoryExport } from "./case.ts";

const zeroVector = [0xfd, 0x0c, ...new Array<number>(16).fill(0)];
const global = (...global: readonly number[]) => filter({ globals: [global], rawExports: [memoryExport, ["g", 3, 0]] });
const table = (...table: readonly number[]) => filter({ tables: [table], rawExports: [memoryExport, ["t", 1, 0]] });
const withTypes = (count: number, ...rawTypes: (readonly number[])[]) => filter({ rawTypes, rawTypeCount: count });

/** Cases of the type section and of what is made of its types. */
export const typeCases: readonly Case[] = [
  {
    name: "structs and arrays",
    module: withTypes(2, [0x5f, 2, 0x7f, 1, 0x78, 0], [0x5e, 0x77, 1]),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "a struct that refers to itself",
    module: withTypes(1, [0x5f, 1, 0x63, 0, 1]),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "types of a group that refer to each other",
    module: withTypes(2, [0x4e, 2, 0x5f, 1, 0x63, 1, 0, 0x5f, 1, 0x63, 0, 0]),
    problems: [],
    envoy: "accepts",
  },
  { name: "an empty group", module: withTypes(0, [0x4e, 0]), problems: [], envoy: "accepts" },
  {
    name: "a type that refers past the end of its group",
    module: withTypes(1, [0x5f, 1, 0x63, 9, 0]),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a supertype that comes later",
    module: withTypes(2, [0x50, 1, 1, 0x5f, 0], [0x50, 0, 0x5f, 0]),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "two supertypes",
    module: withTypes(3, [0x50, 0, 0x5f, 0], [0x50, 0, 0x5f, 0], [0x50, 2, 0, 1, 0x5f, 0]),
    problems: ["OverLimit"],
    envoy: "refuses",
  },
  {
    name: "a form of type that doesn't exist",
    module: withTypes(1, [0x5d]),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a value type that doesn't exist",
    module: withTypes(1, [0x60, 1, 0x40, 0]),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a field neither constant nor mutable",
    module: withTypes(1, [0x5f, 1, 0x7f, 2]),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a negative heap type without meaning",
    module: withTypes(1, [0x60, 1, 0x63, 0x45, 0]),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a negative heap type that would be an index without its sign",
    module: withTypes(66, ...new Array<number[]>(65).fill([0x5f, 0]), [0x60, 1, 0x63, 0x40, 0]),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a heap type of five bytes (padded)",
    module: withTypes(1, [0x5f, 1, 0x63, 0x80, 0x80, 0x80, 0x80, 0, 0]),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "a heap type of six bytes",
    module: withTypes(1, [0x5f, 1, 0x63, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0]),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a thousand parameters",
    module: withTypes(1, [0x60, ...vector(new Array(1000).fill([0x7f])), 0]),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "a thousand and one parameters",
    module: withTypes(1, [0x60, ...vector(new Array(1001).fill([0x7f])), 0]),
    problems: ["OverLimit"],
    envoy: "refuses",
  },
  {
    name: "globals of every constant",
    module: filter({
      globals: [
        [0x7e, 1, 0x42, 0x7f, 0x0b],
        [0x7d, 0, 0x43, 0, 0, 0, 0, 0x0b],
        [0x7c, 0, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b],
        [0x7f, 0, 0x41, 1, 0x41, 2, 0x6a, 0x0b],
        [0x70, 0, 0xd0, 0x70, 0x0b],
        [0x64, 0x70, 0, 0xd2, 0, 0x0b],
        [0x7b, 0, ...zeroVector, 0x0b],
        [0x6c, 0, 0x41, 1, 0xfb, 0x1c, 0x0b],
        [0x7f, 0, 0x23, 3, 0x0b],
      ],
    }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "globals of structs and arrays",
    module: filter({
      rawTypes: [
        [0x5f, 1, 0x7f, 0],
        [0x5e, 0x7f, 0],
      ],
      globals: [
        [0x63, 0, 0, 0x41, 1, 0xfb, 0, 0, 0x0b],
        [0x63, 1, 0, 0x41, 1, 0xfb, 8, 1, 1, 0x0b],
        [0x63, 0, 0, 0xfb, 1, 0, 0x0b],
      ],
    }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "a global without an end",
    module: filter({ globals: [[0x7f, 0, 0x41, 0]] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a global that calls a function",
    module: filter({ globals: [[0x7f, 0, 0x10, 0, 0x0b]] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a global that reads a struct",
    module: filter({ globals: [[0x7f, 0, 0xfb, 2, 0x0b]] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a global that loads a vector",
    module: filter({ globals: [[0x7b, 0, 0xfd, 0, ...new Array<number>(16).fill(0), 0x0b]] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a constant of six bytes",
    module: filter({ globals: [[0x7f, 0, 0x41, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0x0b]] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a constant with bits beyond 32",
    module: filter({ globals: [[0x7f, 0, 0x41, 0x80, 0x80, 0x80, 0x80, 0x08, 0x0b]] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "the smallest constant of 32 bits",
    module: filter({ globals: [[0x7f, 0, 0x41, 0x80, 0x80, 0x80, 0x80, 0x78, 0x0b]] }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "a table with a starting value",
    module: filter({ tables: [[0x40, 0, 0x64, 0x70, 0, 1, 0xd2, 0, 0x0b]] }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "a table with a starting value and a wrong byte before it",
    module: filter({ tables: [[0x40, 1, 0x64, 0x70, 0, 1, 0xd2, 0, 0x0b]] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a table of numbers",
    module: filter({ tables: [[0x7f, 0, 1]] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  { name: "an exported table of functions", module: table(0x70, 0, 1), problems: [], envoy: "accepts" },
  {
    name: "an exported global of host references",
    module: global(0x6f, 0, 0xd0, 0x6f, 0x0b),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "a callback whose type is open to subtypes",
    module: filter({ rawTypes: [[0x50, 0, ...functionType("i:i")]], functionTypes: { malloc: 0 } }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "an exception tag of its own",
    module: filter({ rawTypes: [functionType(":")], tags: [[0, 0]] }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "an exception tag with a result",
    module: filter({ rawTypes: [functionType(":i")], tags: [[0, 0]] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
];
