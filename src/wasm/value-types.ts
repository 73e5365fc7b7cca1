import type { ByteReader } from "./byte-reader.ts";
import { WasmError } from "./error.ts";

/**
 * A value type in the text format: "i32", "v128", "externref", "(ref null 3)", … (WebAssembly 3.0, section 5.3).
 */
export type ValueType = string;

const simple: ReadonlyMap<number, ValueType> = new Map([
  [0x7f, "i32"],
  [0x7e, "i64"],
  [0x7d, "f32"],
  [0x7c, "f64"],
  [0x7b, "v128"],
]);

const heapTypes: ReadonlyMap<number, string> = new Map([
  [0x74, "noexn"],
  [0x73, "nofunc"],
  [0x72, "noextern"],
  [0x71, "none"],
  [0x70, "func"],
  [0x6f, "extern"],
  [0x6e, "any"],
  [0x6d, "eq"],
  [0x6c, "i31"],
  [0x6b, "struct"],
  [0x6a, "array"],
  [0x69, "exn"],
]);

/** The types that Envoy's interface to its engine has a name for. Any other in an import or export aborts Envoy. */
const crossing: ReadonlySet<ValueType> = new Set([
  "i32",
  "i64",
  "f32",
  "f64",
  "(ref null func)",
  "(ref func)",
  "(ref null extern)",
  "(ref extern)",
]);

/** Whether a value of this type may appear in an import or export without aborting Envoy. */
export function canCross(type: ValueType): boolean {
  return crossing.has(type);
}

/**
 * Reads a value type.
 * @param types how many types the module has so far: a reference must be to one of them.
 */
export function readValueType(reader: ByteReader, types: number): ValueType {
  const offset = reader.offset;
  const code = reader.byte("a value type");
  const name = simple.get(code) ?? referenceType(reader, code, types);
  if (name !== null) return name;
  throw new WasmError("Malformed", `0x${code.toString(16)} is no value type`, offset);
}

/** Reads a reference type, such as a table holds. */
export function readReferenceType(reader: ByteReader, types: number): ValueType {
  const offset = reader.offset;
  const code = reader.byte("a reference type");
  const name = referenceType(reader, code, types);
  if (name !== null) return name;
  throw new WasmError("Malformed", `0x${code.toString(16)} is no reference type`, offset);
}

/** Reads a heap type: one of the abstract ones by its byte, or the index of a defined type. */
export function readHeapType(reader: ByteReader, types: number): string {
  const offset = reader.offset;
  const first = reader.byte("a heap type");
  const abstract = heapTypes.get(first);
  if (abstract !== undefined) return abstract;
  const index = readIndexFrom(reader, first, offset);
  if (index < types) return String(index);
  throw new WasmError("Malformed", `heap type ${index} is not defined: there are ${types} types`, offset);
}

function referenceType(reader: ByteReader, code: number, types: number): ValueType | null {
  const abstract = heapTypes.get(code);
  if (abstract !== undefined) return `(ref null ${abstract})`;
  if (code === 0x63) return `(ref null ${readHeapType(reader, types)})`;
  if (code === 0x64) return `(ref ${readHeapType(reader, types)})`;
  return null;
}

/** The rest of a non-negative s33, whose first byte is read. */
function readIndexFrom(reader: ByteReader, first: number, offset: number): number {
  let value = first & 0x7f;
  let byte = first;
  for (let shift = 7; byte >= 0x80; shift += 7) {
    if (shift > 28) throw new WasmError("Malformed", "a heap type is no LEB128 number of 33 bits", offset);
    byte = reader.byte("a heap type");
    value += (byte & 0x7f) * 2 ** shift;
  }
  if ((byte & 0x40) !== 0) throw new WasmError("Malformed", "a heap type is a negative number without meaning", offset);
  return value;
}
