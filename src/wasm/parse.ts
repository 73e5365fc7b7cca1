import { ByteReader } from "./byte-reader.ts";
import { emptyContents, type ModuleContents } from "./contents.ts";
import { WasmError } from "./error.ts";
import { limits } from "./limits.ts";
import type { ModuleSource } from "./module-source.ts";
import { walkNameSection } from "./name-section.ts";
import { sectionKinds } from "./sections.ts";

/** What was read of a module: all of it, or what came before the first error. */
export interface ParsedModule {
  readonly contents: ModuleContents;
  readonly failure: WasmError | null;
}

/**
 * Reads a module's sections without compiling anything. Code, data and element segments are passed over: what is
 * in them is checked by the engine that compiles them.
 * @throws the source's own errors.
 */
export function parseModule(source: ModuleSource): ParsedModule {
  const contents = emptyContents();
  try {
    const reader = new ByteReader(source, { start: 0, end: source.size, name: "the file", overrun: "Truncated" });
    readHeader(reader);
    readSections(reader, contents);
    requireAgreement(contents, source.size);
    return { contents, failure: null };
  } catch (error) {
    if (error instanceof WasmError) return { contents, failure: error };
    throw error;
  }
}

const magic = [0x00, 0x61, 0x73, 0x6d] as const;

function readHeader(reader: ByteReader): void {
  if (reader.remaining === 0) throw new WasmError("NotWasm", "the file is empty", 0);
  for (const expected of magic) {
    const offset = reader.offset;
    if (reader.byte("the magic number") !== expected)
      throw new WasmError("NotWasm", "the file does not start with the bytes 00 61 73 6d of a Wasm binary", offset);
  }
  const version = [0, 0, 0, 0].map(() => reader.byte("the version"));
  const text = version.map(byte => byte.toString(16).padStart(2, "0")).join(" ");
  if (text === "01 00 00 00") return;
  if (version[2] === 1 && version[3] === 0)
    throw new WasmError(
      "Component",
      `the file is a WebAssembly component (version bytes ${text}); Envoy runs core modules (01 00 00 00) only`,
      4,
    );
  throw new WasmError(
    "UnsupportedVersion",
    `the version bytes are ${text}; Envoy runs version 1 of the binary format (01 00 00 00) only`,
    4,
  );
}

function readSections(reader: ByteReader, contents: ModuleContents): void {
  let last = { name: "", rank: -1 };
  while (reader.remaining > 0) {
    const offset = reader.offset;
    const id = reader.byte("a section id");
    const size = reader.u32("the size of a section");
    const kind = sectionKinds.get(id);
    if (id === 0) {
      readCustomSection(reader.part(size, "a custom section"), contents, offset);
      continue;
    }
    if (!kind) throw new WasmError("Malformed", `${id} is no section id`, offset);
    if (kind.rank === last.rank) throw new WasmError("Malformed", `the ${kind.name} section comes twice`, offset);
    if (kind.rank < last.rank)
      throw new WasmError("Malformed", `the ${kind.name} section comes after the ${last.name} section`, offset);
    last = kind;
    const section = reader.part(size, `the ${kind.name} section`);
    if (kind.depth === "whole" && size > limits.sectionBytes)
      throw new WasmError(
        "OverLimit",
        `the ${kind.name} section is ${size} bytes long; this check reads at most ${limits.sectionBytes}`,
        offset,
      );
    kind.read(section, contents);
    if (kind.depth === "whole") section.end();
  }
}

function readCustomSection(reader: ByteReader, contents: ModuleContents, offset: number): void {
  if (contents.customSections.length >= limits.customSections)
    throw new WasmError(
      "OverLimit",
      `more than ${limits.customSections} custom sections; this check reads no more`,
      offset,
    );
  const name = reader.name("the name of a custom section");
  const first = name === "name" && !contents.customSections.some(section => section.name === "name");
  contents.customSections.push({ name, size: reader.remaining, offset });
  if (first) walkNameSection(reader);
}

/** What two sections say of each other; checked at the end, because either may be missing. */
function requireAgreement(contents: ModuleContents, size: number): void {
  if (contents.bodies !== contents.definedFunctions)
    throw new WasmError(
      "Malformed",
      `the function section defines ${contents.definedFunctions} functions, the code section has ${contents.bodies} bodies`,
      size,
    );
  if (contents.announcedData !== null && contents.announcedData !== contents.data)
    throw new WasmError(
      "Malformed",
      `the data count section announces ${contents.announcedData} segments, the data section has ${contents.data}`,
      size,
    );
}
