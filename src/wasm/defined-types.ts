import type { ByteReader } from "./byte-reader.ts";
import { WasmError } from "./error.ts";
import { limits } from "./limits.ts";
import { canCross, readValueType, type ValueType } from "./value-types.ts";

/** The type of a function. */
export interface FunctionType {
  readonly kind: "function";
  /** As "(i32, i32) -> i32", "() -> ()". Long lists are cut, so compare it with the host's types only. */
  readonly text: string;
  /**
   * Whether it is the type that a host function of the same parameters and results has. A type that is open to
   * subtypes, has a supertype, or shares its recursion group with others is another type (WebAssembly 3.0,
   * section 3.1.4), and V8 refuses to link it.
   */
  readonly plain: boolean;
  /** The first parameter or result that can't cross Envoy's interface to its engine, or null. */
  readonly foreign: ValueType | null;
}

/** An entry of the type section. Of structs and arrays only the place in the index space matters. */
export type DefinedType = FunctionType | { readonly kind: "struct" } | { readonly kind: "array" };

/** How many parameters or results a type's text shows; no host function has more. */
const shownValues = 16;

/** Reads the type section: function types and the forms of the GC proposal (WebAssembly 3.0, section 5.3). */
export function readTypes(reader: ByteReader, types: DefinedType[]): void {
  for (let entries = reader.count("type entries", limits.types); entries > 0; entries--) readGroup(reader, types);
}

/** The types i8 and i16, which only fields have. */
const packed: ReadonlySet<number> = new Set([0x78, 0x77]);

const form = { group: 0x4e, final: 0x4f, open: 0x50, array: 0x5e, struct: 0x5f, function: 0x60 } as const;

function readGroup(reader: ByteReader, types: DefinedType[]): void {
  const offset = reader.offset;
  const first = reader.byte("the form of a type");
  if (first !== form.group) {
    requireRoom(types.length + 1, offset);
    types.push(readSubtype(reader, first, types.length, types.length + 1, true));
    return;
  }
  const members = reader.count("types in a recursion group", limits.types);
  const known = types.length + members;
  requireRoom(known, offset);
  for (let member = 0; member < members; member++) {
    const code = reader.byte("the form of a type");
    types.push(readSubtype(reader, code, types.length, known, members === 1));
  }
}

function requireRoom(count: number, offset: number): void {
  if (count > limits.types)
    throw new WasmError("OverLimit", `more than ${limits.types} types; this check reads no more`, offset);
}

/**
 * @param own the index of the type that is read: a supertype comes before it.
 * @param known how many types may be referred to: all up to the end of the recursion group.
 */
function readSubtype(reader: ByteReader, code: number, own: number, known: number, alone: boolean): DefinedType {
  if (code !== form.open && code !== form.final) return readComposite(reader, code, known, alone);
  const offset = reader.offset;
  const supertypes = reader.count("supertypes of a type", 1);
  if (supertypes > 0 && reader.u32("a supertype") >= own)
    throw new WasmError("Malformed", "a supertype comes after its subtype", offset);
  const plain = alone && code === form.final && supertypes === 0;
  return readComposite(reader, reader.byte("the form of a type"), known, plain);
}

function readComposite(reader: ByteReader, code: number, known: number, plain: boolean): DefinedType {
  switch (code) {
    case form.function:
      return readFunctionType(reader, known, plain);
    case form.struct:
      for (let fields = reader.count("fields of a struct", limits.fields); fields > 0; fields--)
        readField(reader, known);
      return { kind: "struct" };
    case form.array:
      readField(reader, known);
      return { kind: "array" };
    default:
      throw new WasmError("Malformed", `0x${code.toString(16)} is no form of a type`, reader.offset - 1);
  }
}

function readFunctionType(reader: ByteReader, known: number, plain: boolean): FunctionType {
  const parameters = readValueTypes(reader, "parameters of a function type", known);
  const results = readValueTypes(reader, "results of a function type", known);
  const foreign = [...parameters, ...results].find(type => !canCross(type)) ?? null;
  return { kind: "function", text: functionText(parameters, results), plain, foreign };
}

function readValueTypes(reader: ByteReader, what: string, known: number): ValueType[] {
  const values: ValueType[] = [];
  for (let left = reader.count(what, limits.values); left > 0; left--) values.push(readValueType(reader, known));
  return values;
}

function readField(reader: ByteReader, known: number): void {
  const offset = reader.offset;
  if (packed.has(reader.peek("a field"))) reader.byte("a field");
  else readValueType(reader, known);
  if (reader.byte("a field's mutability") > 1)
    throw new WasmError("Malformed", "a field is neither constant nor mutable", offset);
}

/** The text of a function type: "(i32, i32) -> i32". */
export function functionText(parameters: readonly ValueType[], results: readonly ValueType[]): string {
  const [only] = results;
  return `(${list(parameters)}) -> ${results.length === 1 && only !== undefined ? only : `(${list(results)})`}`;
}

function list(types: readonly ValueType[]): string {
  const shown = types.slice(0, shownValues).join(", ");
  return types.length > shownValues ? `${shown}, and ${types.length - shownValues} more` : shown;
}
