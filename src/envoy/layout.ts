import type { SourceMap } from "./source-node.ts";

/** What a document to be inserted is made of. Every string is written quoted, so that no reader takes it for a type. */
export type Inserted = string | readonly Inserted[] | { readonly [key: string]: Inserted };

/** How a text is laid out at one place, so that what is inserted there looks like its surroundings. */
export interface Layout {
  /** The line break in use there. */
  readonly newline: string;
  /** Whether only blanks precede the place on its line. */
  readonly firstOnLine: boolean;
  /** The blanks before the place; where something else stands there, as many spaces as columns. */
  readonly indent: string;
  readonly lineStart: number;
}

export function layoutAt(text: string, offset: number): Layout {
  const lineStart = text.lastIndexOf("\n", offset - 1) + 1;
  const before = text.slice(lineStart, offset);
  const firstOnLine = /^[ \t]*$/.test(before);
  const ending = text.indexOf("\n", offset);
  const reference = ending === -1 ? text.lastIndexOf("\n") : ending;
  return {
    newline: text[reference - 1] === "\r" ? "\r\n" : "\n",
    firstOnLine,
    indent: firstOnLine ? before : " ".repeat(before.length),
    lineStart,
  };
}

/** A map in YAML's block style, one string a line, without outer indentation. */
export function blockLines(value: { readonly [key: string]: Inserted }): readonly string[] {
  return Object.entries(value).flatMap(([key, member]) => {
    const name = /^[a-z_]+$/.test(key) ? key : JSON.stringify(key);
    if (typeof member === "string" || isEmpty(member)) return [`${name}: ${JSON.stringify(member)}`];
    if (isList(member)) return [`${name}:`, ...member.map(item => `  - ${flowText(item)}`)];
    return [`${name}:`, ...blockLines(member).map(line => `  ${line}`)];
  });
}

/**
 * A value in flow style on one line: JSON, which is YAML too.
 * @param blank what follows colons and commas: " " or ""
 */
export function flowText(value: Inserted, blank = " "): string {
  if (typeof value === "string") return JSON.stringify(value);
  const comma = `,${blank}`;
  if (isList(value)) return `[${value.map(item => flowText(item, blank)).join(comma)}]`;
  const members = Object.entries(value).map(
    ([key, member]) => `${JSON.stringify(key)}:${blank}${flowText(member, blank)}`,
  );
  return `{${members.join(comma)}}`;
}

/** Whether a flow map is written without blanks behind its colons. */
export function isTight(text: string, map: SourceMap): boolean {
  const colon = map.style === "flow" ? map.fields[0]?.colon : null;
  return typeof colon === "number" && /\S/.test(text[colon] ?? " ");
}

function isEmpty(value: Exclude<Inserted, string>): boolean {
  return Object.keys(value).length === 0;
}

function isList(value: Inserted): value is readonly Inserted[] {
  return Array.isArray(value);
}
