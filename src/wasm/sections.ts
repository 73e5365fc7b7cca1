import type { ByteReader } from "./byte-reader.ts";
import { passConstantExpression } from "./constant-expression.ts";
import type { ExternalKind, ExternalType, ModuleContents } from "./contents.ts";
import { readTypes } from "./defined-types.ts";
import { WasmError } from "./error.ts";
import {
  readFunctionIndex,
  readGlobalType,
  readKind,
  readMemoryType,
  readTableType,
  readTagType,
} from "./external-types.ts";
import { limits } from "./limits.ts";
import { quote } from "./quote.ts";

/** A section of the specification: its name, its place in the order, and how its content is read. */
export interface SectionKind {
  readonly name: string;
  readonly rank: number;
  /** How much of the section is read: all of it, or only the count at its start. */
  readonly depth: "whole" | "count";
  readonly read: (reader: ByteReader, contents: ModuleContents) => void;
}

/** All sections but the custom ones, by id (WebAssembly 3.0, section 5.5.2). */
export const sectionKinds: ReadonlyMap<number, SectionKind> = new Map(
  (
    [
      [1, "type", "whole", (reader, contents) => readTypes(reader, contents.types)],
      [2, "import", "whole", readImports],
      [3, "function", "whole", readFunctions],
      [4, "table", "whole", readTables],
      [5, "memory", "whole", readMemories],
      [13, "tag", "whole", readTags],
      [6, "global", "whole", readGlobals],
      [7, "export", "whole", readExports],
      [8, "start", "whole", readStart],
      [9, "element", "count", reader => void reader.count("element segments", Number.POSITIVE_INFINITY)],
      [12, "data count", "whole", readDataCount],
      [10, "code", "count", readBodyCount],
      [11, "data", "count", readDataSize],
    ] as const satisfies readonly (readonly [number, string, SectionKind["depth"], SectionKind["read"]])[]
  ).map(([id, name, depth, read], rank) => [id, { name, rank, depth, read }]),
);

function readImports(reader: ByteReader, contents: ModuleContents): void {
  for (let left = reader.count("imports", limits.imports); left > 0; left--) {
    const offset = reader.offset;
    const module = reader.name("the module name of an import");
    const name = reader.name("the name of an import");
    const external = readImportType(reader, contents);
    contents.imports.push({ module, name, external, offset });
  }
}

function readImportType(reader: ByteReader, contents: ModuleContents): ExternalType {
  const kind = readKind(reader);
  switch (kind) {
    case "function":
      return { kind, type: added(contents.functions, readFunctionIndex(reader, contents)) };
    case "table":
      return { kind, type: added(contents.tables, readTableType(reader, contents.types.length)) };
    case "memory":
      return { kind, type: added(contents.memories, readMemoryType(reader)) };
    case "global":
      return { kind, type: added(contents.globals, readGlobalType(reader, contents.types.length)) };
    case "tag":
      return { kind, type: added(contents.tags, readTagType(reader, contents)) };
  }
}

function added<Item>(space: Item[], item: Item): Item {
  space.push(item);
  return item;
}

function readFunctions(reader: ByteReader, contents: ModuleContents): void {
  const count = reader.count("functions", limits.functions);
  for (let left = count; left > 0; left--) contents.functions.push(readFunctionIndex(reader, contents));
  contents.definedFunctions = count;
}

/** A table entry is its type, or 0x40 0x00, its type and what its elements start as. */
function readTables(reader: ByteReader, contents: ModuleContents): void {
  const types = contents.types.length;
  for (let left = reader.count("tables", limits.tables); left > 0; left--) {
    const offset = reader.offset;
    const initialised = reader.peek("a table") === 0x40;
    if (initialised) {
      reader.byte("a table");
      if (reader.byte("a table") !== 0)
        throw new WasmError("Malformed", "0x40 before a table must be followed by 0", offset);
    }
    contents.tables.push(readTableType(reader, types));
    if (initialised) passConstantExpression(reader, types);
  }
}

function readMemories(reader: ByteReader, contents: ModuleContents): void {
  for (let left = reader.count("memories", limits.memories); left > 0; left--)
    contents.memories.push(readMemoryType(reader));
}

function readTags(reader: ByteReader, contents: ModuleContents): void {
  for (let left = reader.count("tags", limits.tags); left > 0; left--)
    contents.tags.push(readTagType(reader, contents));
}

function readGlobals(reader: ByteReader, contents: ModuleContents): void {
  for (let left = reader.count("globals", limits.globals); left > 0; left--) {
    contents.globals.push(readGlobalType(reader, contents.types.length));
    passConstantExpression(reader, contents.types.length);
  }
}

function readExports(reader: ByteReader, contents: ModuleContents): void {
  const names = new Set<string>();
  for (let left = reader.count("exports", limits.exports); left > 0; left--) {
    const offset = reader.offset;
    const name = reader.name("the name of an export");
    if (names.has(name)) throw new WasmError("Malformed", `the module exports ${quote(name)} twice`, offset);
    names.add(name);
    const kind = readKind(reader);
    const index = reader.u32("the index of an export");
    const external = externalAt(kind, index, contents);
    if (!external)
      throw new WasmError(
        "Malformed",
        `the export ${quote(name)} is of ${kind} ${index}, which does not exist`,
        offset,
      );
    contents.exports.push({ name, external, index, offset });
  }
}

function externalAt(kind: ExternalKind, index: number, contents: ModuleContents): ExternalType | null {
  switch (kind) {
    case "function": {
      const type = contents.functions[index];
      return type ? { kind, type } : null;
    }
    case "table": {
      const type = contents.tables[index];
      return type ? { kind, type } : null;
    }
    case "memory": {
      const type = contents.memories[index];
      return type ? { kind, type } : null;
    }
    case "global": {
      const type = contents.globals[index];
      return type ? { kind, type } : null;
    }
    case "tag": {
      const type = contents.tags[index];
      return type ? { kind, type } : null;
    }
  }
}

function readStart(reader: ByteReader, contents: ModuleContents): void {
  const offset = reader.offset;
  const index = reader.u32("the index of the start function");
  const type = contents.functions[index];
  if (!type) throw new WasmError("Malformed", `the start function ${index} does not exist`, offset);
  if (type.text !== "() -> ()")
    throw new WasmError("Malformed", `the start function has the type ${type.text}; it must be () -> ()`, offset);
}

function readDataCount(reader: ByteReader, contents: ModuleContents): void {
  contents.announcedData = reader.u32("the data count");
}

function readBodyCount(reader: ByteReader, contents: ModuleContents): void {
  contents.bodies = reader.count("function bodies", limits.functions);
}

function readDataSize(reader: ByteReader, contents: ModuleContents): void {
  contents.data = reader.count("data segments", Number.POSITIVE_INFINITY);
}
