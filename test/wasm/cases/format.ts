import { custom, header, ids, leb, moduleBytes, type Section } from "../encoder.ts";
import { filter, filterSections } from "../filter.ts";
import { type Case, malloc } from "./case.ts";

const good = filterSections();

function position(id: number): number {
  return good.findIndex(section => section.id === id);
}

/** The good filter with the sections of one id replaced. */
function replaced(id: number, ...sections: readonly Section[]): Uint8Array {
  return moduleBytes(good.toSpliced(position(id), 1, ...sections));
}

function payload(id: number): readonly number[] {
  return good[position(id)]?.payload ?? [];
}

const names = (content: readonly number[]) => filter({ customs: [custom("name", content)] });

/** Cases of the binary format: what is no module at all, or breaks the rules of sections. */
export const formatCases: readonly Case[] = [
  { name: "nothing", module: new Uint8Array(0), problems: ["NotWasm"], envoy: "refuses" },
  {
    name: "another magic number",
    module: moduleBytes(good, [0, 0x61, 0x73, 0x6e, 1, 0, 0, 0]),
    problems: ["NotWasm"],
    envoy: "refuses",
  },
  {
    name: "a component",
    module: Uint8Array.from([...header.slice(0, 4), 0x0d, 0, 1, 0]),
    problems: ["Component"],
    envoy: "refuses",
  },
  {
    name: "a component around the sections of a filter",
    module: moduleBytes(good, [...header.slice(0, 4), 0x0d, 0, 1, 0]),
    problems: ["Component"],
    envoy: "refuses",
  },
  {
    name: "version 2",
    module: moduleBytes(good, [...header.slice(0, 4), 2, 0, 0, 0]),
    problems: ["UnsupportedVersion"],
    envoy: "refuses",
  },
  {
    name: "the header only",
    module: Uint8Array.from(header),
    problems: ["NoAbi", "NoMalloc", "NoMemory"],
    envoy: "refuses",
  },
  { name: "half a header", module: Uint8Array.from(header.slice(0, 6)), problems: ["Truncated"], envoy: "refuses" },
  {
    name: "a section id of 14",
    module: moduleBytes([...good, { id: 14, payload: [0] }]),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "two export sections",
    module: replaced(ids.export, { id: ids.export, payload: payload(ids.export) }, { id: ids.export, payload: [0] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "two memory sections",
    module: replaced(ids.memory, { id: ids.memory, payload: [0] }, { id: ids.memory, payload: [1, 0, 1] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "the memory section after the exports",
    module: moduleBytes([
      ...good.filter(section => section.id !== ids.memory).toSpliced(3, 0, { id: ids.memory, payload: [1, 0, 1] }),
    ]),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "the global section before the memory section",
    module: moduleBytes(good.toSpliced(position(ids.memory), 0, { id: ids.global, payload: [0] })),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "the data count section after the code section",
    module: moduleBytes([...good, { id: ids.dataCount, payload: [0] }]),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "the code section before the function section",
    module: moduleBytes(good.toSpliced(1, 1).toSpliced(3, 0, { id: ids.function, payload: payload(ids.function) })),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a byte after the memories",
    module: replaced(ids.memory, { id: ids.memory, payload: [1, 0, 1, 0] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a section that ends inside its content",
    module: replaced(ids.memory, { id: ids.memory, payload: [1, 1, 1, 2], size: 3 }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a byte after the last section",
    module: moduleBytes([...good, { id: 0, payload: [] }]).subarray(0, -1),
    problems: ["Truncated"],
    envoy: "refuses",
  },
  {
    name: "a section longer than the file",
    module: replaced(ids.code, { id: ids.code, payload: payload(ids.code), size: 200 }),
    problems: ["Truncated"],
    envoy: "refuses",
  },
  {
    name: "a section of almost 4 GiB",
    module: moduleBytes([...good, { id: 0, payload: [0], size: 0xffffffff }]),
    problems: ["Truncated"],
    envoy: "refuses",
  },
  {
    name: "a count of almost 2^32",
    module: replaced(ids.function, { id: ids.function, payload: leb(0xffffffff) }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a number of five bytes (padded)",
    module: replaced(ids.memory, { id: ids.memory, payload: [...leb(1, 5), 0, ...leb(1, 5)] }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "a number of six bytes",
    module: replaced(ids.memory, { id: ids.memory, payload: [1, 0, ...leb(1, 6)] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a number with bits beyond 32",
    module: replaced(ids.memory, { id: ids.memory, payload: [1, 0, 0x81, 0x80, 0x80, 0x80, 0x10] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "functions without bodies",
    module: moduleBytes(good.filter(section => section.id !== ids.code)),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "bodies without functions",
    module: moduleBytes([...filterSections({ abi: null, functions: {} }), { id: ids.code, payload: [1, 2, 0, 0x0b] }]),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "one body too few",
    module: replaced(ids.code, { id: ids.code, payload: [1, 2, 0, 0x0b] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  { name: "a data count without data", module: filter({ dataCount: 1 }), problems: ["Malformed"], envoy: "refuses" },
  {
    name: "a data count that is right",
    module: filter({ dataCount: 1, data: [[0, 0x41, 0, 0x0b, 1, 0x61]] }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "a data count that is wrong",
    module: filter({ dataCount: 2, data: [[0, 0x41, 0, 0x0b, 1, 0x61]] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "elements before their table's section is due",
    module: filter({ tables: [[0x70, 0, 1]], elements: [[0, 0x41, 0, 0x0b, 1, 0]] }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "a start function",
    module: filter({ functions: { ...malloc, run: ":" }, start: 2 }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "a start function that doesn't exist",
    module: filter({ start: 9 }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a start function with a parameter",
    module: filter({ start: 1 }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a custom section named in bytes that aren't UTF-8",
    module: filter({ customs: [{ id: 0, payload: [1, 0xff] }] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a custom section shorter than its name",
    module: filter({ customs: [{ id: 0, payload: [5, 0x61] }] }),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a custom section in front",
    module: moduleBytes([custom("build_id", [1, 2, 3]), ...good]),
    problems: [],
    envoy: "accepts",
  },
  { name: "function names", module: names([1, 4, 1, 0, 1, 0x61]), problems: [], envoy: "accepts" },
  {
    name: "a name section that ends inside a subsection",
    module: names([7, 9]),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "function names that run past their subsection",
    module: names([1, 4, 1, 0, 9, 0x61]),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "fewer function names than counted",
    module: names([1, 4, 2, 0, 1, 0x61]),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "more bytes than function names",
    module: names([1, 5, 1, 0, 1, 0x61, 0]),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a name for function 2^30",
    module: names([1, 8, 1, ...leb(2 ** 30), 1, 0x61]),
    problems: ["Malformed"],
    envoy: "refuses",
  },
  {
    name: "a second name section, broken",
    module: filter({ customs: [custom("name"), custom("name", [1, 9])] }),
    problems: [],
    envoy: "accepts",
  },
  {
    name: "native code from a compiler cache",
    module: filter({ customs: [custom("precompiled_wee8_v13.8.258.26_linux_x86_64", [1])] }),
    problems: ["Precompiled"],
    envoy: "accepts",
    difference:
      "Envoy drops the section unless allow_precompiled is set, and then runs it unverified; such a module has no business in a registry",
  },
  {
    name: "native code under a name that only contains the word",
    module: filter({ customs: [custom("x_precompiled_y", [1])] }),
    problems: ["Precompiled"],
    envoy: "accepts",
    difference: "as above: Envoy looks for the word anywhere in the name",
  },
];
