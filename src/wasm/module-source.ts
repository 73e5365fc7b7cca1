import { fstatSync, readSync } from "node:fs";

/** Where a module's bytes come from: random access, so that code and data are skipped without being loaded. */
export interface ModuleSource {
  /** In bytes. */
  readonly size: number;
  /** At most `length` bytes from `offset` on; fewer only where the source ends early. */
  read(offset: number, length: number): Uint8Array;
}

/** A module in memory. Reads give views, not copies. */
export function bytesSource(bytes: Uint8Array): ModuleSource {
  return {
    size: bytes.length,
    read: (offset, length) => bytes.subarray(offset, offset + length),
  };
}

/**
 * A module in an open regular file. The descriptor stays the caller's, its position is not used, and memory stays
 * constant whatever the file's size.
 * @throws the system's error where the file can't be read.
 */
export function fileSource(descriptor: number): ModuleSource {
  return {
    size: fstatSync(descriptor).size,
    read(offset, length) {
      const bytes = new Uint8Array(length);
      let filled = 0;
      while (filled < length) {
        const count = readSync(descriptor, bytes, filled, length - filled, offset + filled);
        if (count === 0) break;
        filled += count;
      }
      return bytes.subarray(0, filled);
    },
  };
}
