import { RegistryError } from "./error.ts";

/** What a pax header says that matters here. */
export interface PaxRecords {
  readonly path?: string;
  readonly size?: number;
}

/**
 * Reads the records of a pax header, `<length> <key>=<value>\n` each (POSIX.1-2017, pax, "pax Extended Header").
 * @throws {RegistryError} BadArchive, also for the records of sparse files: readers disagree on what those hold
 */
export function readPax(bytes: Buffer): PaxRecords {
  const records = new Map<string, string>();
  for (let rest = bytes; rest.length > 0; ) {
    const record = firstRecord(rest);
    const equals = record.indexOf("=");
    if (equals < 1) throw bad("a pax record without a key");
    const key = record.subarray(0, equals).toString("latin1");
    if (key.startsWith("GNU.sparse.")) throw bad("a sparse file");
    if (records.has(key)) throw bad("a pax record twice");
    records.set(key, record.subarray(equals + 1).toString("utf8"));
    rest = rest.subarray(lengthOf(rest));
  }
  // An empty value means that the header without pax counts.
  const path = records.get("path") || undefined;
  const size = records.get("size") || undefined;
  if (size !== undefined && !/^\d{1,15}$/.test(size)) throw bad("a pax size that is no number");
  return { ...(path === undefined ? {} : { path }), ...(size === undefined ? {} : { size: Number(size) }) };
}

/** Key and value of the first record. */
function firstRecord(rest: Buffer): Buffer {
  const length = lengthOf(rest);
  const start = rest.indexOf(" ") + 1;
  if (start >= length || rest[length - 1] !== 0x0a) throw bad("a pax record of another length than it says");
  return rest.subarray(start, length - 1);
}

function lengthOf(rest: Buffer): number {
  const match = /^([1-9]\d{0,6}) /.exec(rest.subarray(0, 8).toString("latin1"));
  const length = Number(match?.[1] ?? 0);
  if (match === null || length > rest.length) throw bad("a pax record without a length");
  return length;
}

function bad(what: string): RegistryError {
  return new RegistryError("BadArchive", `the layer's tar has ${what}`);
}
