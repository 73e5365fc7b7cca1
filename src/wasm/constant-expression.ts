import type { ByteReader } from "./byte-reader.ts";
import { WasmError } from "./error.ts";
import { limits } from "./limits.ts";
import { readHeapType } from "./value-types.ts";

type Immediate = (reader: ByteReader, types: number) => void;

const none: Immediate = () => {};
const index: Immediate = reader => {
  reader.u32("an index");
};
const heapType: Immediate = (reader, types) => {
  readHeapType(reader, types);
};

/** The instructions that a constant expression may have, and how to pass their immediates. */
const instructions: ReadonlyMap<number, Immediate> = new Map([
  [0x23, index],
  [0x41, reader => reader.skipSigned("an i32 constant", 32)],
  [0x42, reader => reader.skipSigned("an i64 constant", 64)],
  [0x43, reader => reader.skip(4, "an f32 constant")],
  [0x44, reader => reader.skip(8, "an f64 constant")],
  ...[0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e].map((code): [number, Immediate] => [code, none]),
  [0xd0, heapType],
  [0xd2, index],
  [0xfb, passAggregate],
  [0xfd, passVector],
]);

const end = 0x0b;

/**
 * Passes over a constant expression, without typing it: what matters is where it ends. The instructions are those
 * of WebAssembly 3.0, section 3.4.10 (extended constants and the GC proposal included).
 */
export function passConstantExpression(reader: ByteReader, types: number): void {
  for (let count = 0; count < limits.expressionInstructions; count++) {
    const offset = reader.offset;
    const code = reader.byte("a constant expression");
    if (code === end) return;
    const immediate = instructions.get(code);
    if (!immediate)
      throw new WasmError("Malformed", `0x${code.toString(16)} is no instruction of a constant expression`, offset);
    immediate(reader, types);
  }
  throw new WasmError(
    "OverLimit",
    `a constant expression has more than ${limits.expressionInstructions} instructions; this check reads no more`,
    reader.offset,
  );
}

/** struct.new, array.new and the like: one type index, array.new_fixed with a length, the conversions with nothing. */
function passAggregate(reader: ByteReader): void {
  const offset = reader.offset;
  const code = reader.u32("a GC instruction");
  if (code === 0x00 || code === 0x01 || code === 0x06 || code === 0x07) {
    reader.u32("a type index");
  } else if (code === 0x08) {
    reader.u32("a type index");
    reader.u32("an array's length");
  } else if (code !== 0x1a && code !== 0x1b && code !== 0x1c) {
    throw new WasmError("Malformed", `0xfb ${code} is no instruction of a constant expression`, offset);
  }
}

function passVector(reader: ByteReader): void {
  const offset = reader.offset;
  const code = reader.u32("a vector instruction");
  if (code !== 0x0c)
    throw new WasmError("Malformed", `0xfd ${code} is no instruction of a constant expression`, offset);
  reader.skip(16, "a v128 constant");
}
