import type { ByteReader } from "./byte-reader.ts";
import type { ExternalKind, GlobalType, MemoryType, ModuleContents, TableType } from "./contents.ts";
import type { FunctionType } from "./defined-types.ts";
import { WasmError } from "./error.ts";
import { readReferenceType, readValueType } from "./value-types.ts";

/** The bits of the byte before a memory's or table's limits. */
const flag = { maximum: 1, shared: 2, is64: 4 } as const;

const externalKinds: readonly ExternalKind[] = ["function", "table", "memory", "global", "tag"];

/** Reads the byte that says what an import or export is. */
export function readKind(reader: ByteReader): ExternalKind {
  const offset = reader.offset;
  const code = reader.byte("the kind of an import or export");
  const kind = externalKinds[code];
  if (kind) return kind;
  throw new WasmError("Malformed", `0x${code.toString(16)} is no kind of import or export`, offset);
}

/** Reads a type index, which must be that of a function type. */
export function readFunctionIndex(reader: ByteReader, contents: ModuleContents): FunctionType {
  const offset = reader.offset;
  const index = reader.u32("a type index");
  const type = contents.types[index];
  if (type?.kind === "function") return type;
  const found = type ? `is a ${type.kind}` : `is not defined: there are ${contents.types.length} types`;
  throw new WasmError("Malformed", `type ${index} should be a function's, but ${found}`, offset);
}

/** Reads a memory type (WebAssembly 3.0, section 5.3; shared as in the threads proposal). */
export function readMemoryType(reader: ByteReader): MemoryType {
  const offset = reader.offset;
  const flags = reader.byte("the flags of a memory");
  if (flags > (flag.maximum | flag.shared | flag.is64))
    throw new WasmError("Malformed", `0x${flags.toString(16)} are no flags of a memory`, offset);
  const { initial, maximum } = readLimits(reader, flags);
  const shared = (flags & flag.shared) !== 0;
  if (shared && maximum === null) throw new WasmError("Malformed", "a shared memory must have a maximum size", offset);
  return {
    initialPages: pages(initial),
    maximumPages: maximum === null ? null : pages(maximum),
    shared,
    memory64: (flags & flag.is64) !== 0,
  };
}

/** Reads a table type. */
export function readTableType(reader: ByteReader, types: number): TableType {
  const element = readReferenceType(reader, types);
  const offset = reader.offset;
  const flags = reader.byte("the flags of a table");
  if (flags > (flag.maximum | flag.is64) || (flags & flag.shared) !== 0)
    throw new WasmError("Malformed", `0x${flags.toString(16)} are no flags of a table`, offset);
  const { initial } = readLimits(reader, flags);
  return { element, initial: pages(initial), table64: (flags & flag.is64) !== 0 };
}

export function readGlobalType(reader: ByteReader, types: number): GlobalType {
  const type = readValueType(reader, types);
  const offset = reader.offset;
  const mutability = reader.byte("a global's mutability");
  if (mutability > 1) throw new WasmError("Malformed", "a global is neither constant nor mutable", offset);
  return { type, mutable: mutability === 1 };
}

export function readTagType(reader: ByteReader, contents: ModuleContents): FunctionType {
  const offset = reader.offset;
  if (reader.byte("a tag's attribute") !== 0)
    throw new WasmError("Malformed", "a tag's attribute must be 0 (exception)", offset);
  const type = readFunctionIndex(reader, contents);
  if (type.text.endsWith("-> ()")) return type;
  throw new WasmError("Malformed", `a tag has the type ${type.text}; it must have no results`, offset);
}

function readLimits(reader: ByteReader, flags: number): { initial: bigint; maximum: bigint | null } {
  const offset = reader.offset;
  const read = (what: string) => ((flags & flag.is64) !== 0 ? reader.u64(what) : BigInt(reader.u32(what)));
  const initial = read("an initial size");
  const maximum = (flags & flag.maximum) !== 0 ? read("a maximum size") : null;
  if (maximum !== null && maximum < initial)
    throw new WasmError("Malformed", `the maximum size ${maximum} is below the initial size ${initial}`, offset);
  return { initial, maximum };
}

/** As a number: what is beyond a double's whole numbers is too large in any case. */
function pages(count: bigint): number {
  return count > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(count);
}
