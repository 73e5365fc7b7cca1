import type { ByteReader } from "./byte-reader.ts";
import { WasmError } from "./error.ts";

const functionNames = 1;

/** Envoy's own reader of this section refuses numbers from here on. */
const tooLarge = 2 ** 30;

/**
 * Walks the "name" section as Envoy does when it loads a module: the sizes of all subsections, and every entry of
 * the function names. By the specification a broken name section is to be ignored; Envoy refuses the module.
 * Source: proxy-wasm-cpp-host, BytecodeUtil::getFunctionNameIndex.
 */
export function walkNameSection(reader: ByteReader): void {
  while (reader.remaining > 0) {
    const id = reader.byte("the id of a subsection");
    const size = reader.u32("the size of a subsection");
    const subsection = reader.part(size, "a subsection of the name section");
    if (id === functionNames) walkFunctionNames(subsection);
  }
}

function walkFunctionNames(reader: ByteReader): void {
  for (let left = reader.count("function names", Number.POSITIVE_INFINITY); left > 0; left--) {
    const offset = reader.offset;
    if (reader.u32("a function index") >= tooLarge)
      throw new WasmError("Malformed", "the name section names a function that can't exist", offset);
    reader.skip(reader.u32("the length of a function name"), "a function name");
  }
  reader.end();
}
