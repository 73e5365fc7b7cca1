import { RegistryError } from "./error.ts";

/** What lies at a path. */
export type FileKind = "file" | "link" | "symlink" | "device" | "directory" | "pipe";

/** One header block: a file's, or one that describes the file after it. */
export interface TarHeader {
  readonly kind: FileKind | "pax" | "pax-global" | "gnu-path" | "gnu-link";
  readonly path: string;
  /** In bytes. */
  readonly size: number;
}

const KINDS: ReadonlyMap<string, TarHeader["kind"]> = new Map([
  ["\0", "file"],
  ["0", "file"],
  ["7", "file"],
  ["1", "link"],
  ["2", "symlink"],
  ["3", "device"],
  ["4", "device"],
  ["5", "directory"],
  ["6", "pipe"],
  ["x", "pax"],
  ["g", "pax-global"],
  ["L", "gnu-path"],
  ["K", "gnu-link"],
]);

const POSIX = "ustar\0" + "00";
const GNU = "ustar  \0";

/**
 * Reads a block of 512 bytes (POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar's own format).
 * @returns null for a block of zeros, which ends a tar
 * @throws {RegistryError} BadArchive
 */
export function readTarHeader(block: Buffer): TarHeader | null {
  if (block.every(byte => byte === 0)) return null;
  if (readNumber(block, 148, 8) !== checksum(block)) throw bad("a header whose checksum is wrong");
  const magic = block.toString("latin1", 257, 265);
  if (magic !== POSIX && magic !== GNU) throw bad("a header that is neither POSIX's nor GNU's");
  const flag = block.toString("latin1", 156, 157);
  const kind = KINDS.get(flag);
  if (kind === undefined)
    throw bad(`an entry of type 0x${block.subarray(156, 157).toString("hex")}, which no image has`);
  const prefix = magic === POSIX ? readText(block, 345, 155) : "";
  const name = readText(block, 0, 100);
  return { kind, path: prefix === "" ? name : `${prefix}/${name}`, size: readNumber(block, 124, 12) };
}

function readText(block: Buffer, start: number, length: number): string {
  const field = block.subarray(start, start + length);
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end === -1 ? length : end);
}

/** Octal digits between spaces and NULs, or GNU's base 256 where the first bit is set. */
function readNumber(block: Buffer, start: number, length: number): number {
  const field = block.subarray(start, start + length);
  if (((field[0] ?? 0) & 0x80) !== 0) return readBinary(field);
  const match = /^ *([0-7]*)[ \0]*$/.exec(field.toString("latin1"));
  if (match === null) throw bad("a number that is none");
  return Number.parseInt(match[1] || "0", 8);
}

function readBinary(field: Buffer): number {
  const [first = 0, ...rest] = field;
  const value = rest.reduce((sum, byte) => sum * 256 + byte, first & 0x7f);
  // A negative number's first byte is 0xff: read without its sign it is beyond any size as well.
  if (!Number.isSafeInteger(value)) throw bad("a number that is negative or beyond any file's size");
  return value;
}

/** The sum of all bytes, with those of the checksum itself as spaces. */
function checksum(block: Buffer): number {
  let sum = 8 * 0x20;
  for (const [index, byte] of block.entries()) if (index < 148 || index >= 156) sum += byte;
  return sum;
}

function bad(what: string): RegistryError {
  return new RegistryError("BadArchive", `the layer's tar has ${what}`);
}
