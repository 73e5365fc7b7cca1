import { custom, header, sectionBytes } from "./encoder.ts";
import { filterSections } from "./filter.ts";

/** A good filter with a section of each kind, two custom ones at the end. */
const sections = filterSections({
  imports: [["env", "proxy_log", "iii:i"]],
  tables: [[0x70, 0, 1]],
  tags: [[0, 1]],
  globals: [[0x7f, 0, 0x41, 0, 0x0b]],
  functions: { malloc: "i:i", run: ":", proxy_on_request_headers: "iii:i" },
  start: 3,
  elements: [[0, 0x41, 0, 0x0b, 1, 0]],
  dataCount: 1,
  data: [[0, 0x41, 0, 0x0b, 1, 0x61]],
  customs: [custom("name", [1, 4, 1, 0, 1, 0x61]), custom("producers", [0])],
});

export const wholeFilter: Uint8Array = Uint8Array.from([...header, ...sections.flatMap(sectionBytes)]);

/** Where each of its sections begins, in bytes. */
export const sectionStarts: readonly number[] = starts();

/** The places where it may be cut and still be a good filter: before each of the custom sections. */
export const harmlessCuts: readonly number[] = sectionStarts.slice(-2);

function starts(): number[] {
  const offsets: number[] = [];
  let offset = header.length;
  for (const section of sections) {
    offsets.push(offset);
    offset += sectionBytes(section).length;
  }
  return offsets;
}
