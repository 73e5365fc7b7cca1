/**
 * A tiny encoder of Wasm binaries for fixtures. Signatures are written in letters, parameters before the colon and
 * results after it: i = i32, I = i64, f = f32, F = f64, v = v128, a = funcref, e = externref. "iiI:i" is
 * (i32, i32, i64) -> i32.
 */
export type Bytes = readonly number[];

export const valueTypes: Readonly<Record<string, number>> = {
  i: 0x7f,
  I: 0x7e,
  f: 0x7d,
  F: 0x7c,
  v: 0x7b,
  a: 0x70,
  e: 0x6f,
};

export const header: Bytes = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

/** Unsigned LEB128, minimal, or padded to `width` bytes. */
export function leb(value: number, width = 1): Bytes {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  while (bytes.length < width) {
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) | 0x80;
    bytes.push(0);
  }
  return bytes;
}

export function text(value: string): Bytes {
  const bytes = [...new TextEncoder().encode(value)];
  return [...leb(bytes.length), ...bytes];
}

export function vector(items: readonly Bytes[]): Bytes {
  return [...leb(items.length), ...items.flat()];
}

/** One section: its id and its payload. Its size is computed, unless given. */
export interface Section {
  readonly id: number;
  readonly payload: Bytes;
  readonly size?: number;
}

export const ids = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
  tag: 13,
} as const;

export function sectionBytes(section: Section): Bytes {
  return [section.id, ...leb(section.size ?? section.payload.length), ...section.payload];
}

export function moduleBytes(sections: readonly Section[], start: Bytes = header): Uint8Array {
  return Uint8Array.from([...start, ...sections.flatMap(sectionBytes)]);
}

export function section(id: number, items: readonly Bytes[]): Section {
  return { id, payload: vector(items) };
}

export function custom(name: string, payload: Bytes = []): Section {
  return { id: ids.custom, payload: [...text(name), ...payload] };
}

export function functionType(signature: string): Bytes {
  const [parameters = "", results = ""] = signature.split(":");
  return [0x60, ...valueVector(parameters), ...valueVector(results)];
}

function valueVector(letters: string): Bytes {
  return vector([...letters].map(letter => [valueTypes[letter] ?? 0]));
}

/** A body that returns a zero of each result. */
export function zeroBody(signature: string): Bytes {
  const results = [...(signature.split(":")[1] ?? "")];
  const zeroes: Readonly<Record<string, Bytes>> = {
    i: [0x41, 0],
    I: [0x42, 0],
    f: [0x43, 0, 0, 0, 0],
    F: [0x44, 0, 0, 0, 0, 0, 0, 0, 0],
    v: [0xfd, 0x0c, ...new Array<number>(16).fill(0)],
    a: [0xd0, 0x70],
    e: [0xd0, 0x6f],
  };
  return body(results.flatMap(letter => zeroes[letter] ?? []));
}

/** A function body without locals around some instructions. */
export function body(instructions: Bytes): Bytes {
  const bytes = [0, ...instructions, 0x0b];
  return [...leb(bytes.length), ...bytes];
}
