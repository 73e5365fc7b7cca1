/** The blocks of a tar's entry, with whatever a test wants wrong in the header. */
export interface RawEntry {
  readonly name?: string;
  readonly prefix?: string;
  /** The type flag, one character. */
  readonly type?: string;
  readonly content?: Buffer | string;
  /** The size field as it stands there; default: the content's, in octal. */
  readonly size?: Buffer | string;
  readonly magic?: string;
  readonly checksum?: string;
  /** Zeros up to the next block, or another number of them. */
  readonly padding?: number;
}

const BLOCK = 512;
export const TAR_END = Buffer.alloc(2 * BLOCK);

/** One entry: header, content, padding. */
export function rawEntry(entry: RawEntry): Buffer {
  const content = Buffer.from(entry.content ?? "");
  const header = Buffer.alloc(BLOCK);
  header.write(entry.name ?? "plugin.wasm", 0, 100);
  header.write("0000644\0", 100);
  header.write("0000000\0", 108);
  header.write("0000000\0", 116);
  header.set(Buffer.from(entry.size ?? `${octal(content.length, 11)}\0`), 124);
  header.write("00000000000\0", 136);
  header.write(entry.type ?? "0", 156, 1, "latin1");
  header.write(entry.magic ?? "ustar\x0000", 257, "latin1");
  header.write(entry.prefix ?? "", 345, 155);
  header.fill(" ", 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(entry.checksum ?? `${octal(sum, 6)}\0 `, 148);
  const padding = entry.padding ?? (BLOCK - (content.length % BLOCK)) % BLOCK;
  return Buffer.concat([header, content, Buffer.alloc(padding)]);
}

/** A tar of these entries, with its end. */
export function rawTar(...entries: readonly (RawEntry | Buffer)[]): Buffer {
  return Buffer.concat([...entries.map(entry => (Buffer.isBuffer(entry) ? entry : rawEntry(entry))), TAR_END]);
}

/** The content of a pax header. */
export function paxRecords(records: Readonly<Record<string, string>>): string {
  return Object.entries(records)
    .map(([key, value]) => {
      const rest = Buffer.byteLength(` ${key}=${value}\n`);
      const guess = rest + String(rest).length;
      return `${rest + String(guess).length} ${key}=${value}\n`;
    })
    .join("");
}

function octal(number: number, digits: number): string {
  return number.toString(8).padStart(digits, "0");
}
