import { isObject } from "../admission/review-member.ts";
import { jsonText, scalarText } from "./kubernetes-yaml.ts";

/** How a file is written, for what is added to look the same. */
export interface Style {
  /** "\n" or "\r\n". */
  readonly lineEnd: string;
  /** How many columns the "-" of a list stands to the right of the list's key. */
  readonly listIndent: number;
  /** The file is JSON, and has to stay it. */
  readonly json: boolean;
}

/** Whether a value has lines of its own in YAML's block style. */
export function isBlock(value: unknown): value is object {
  return typeof value === "object" && value !== null && Object.keys(value).length > 0;
}

/**
 * A value as lines of YAML in block style, the first without its indentation: it stands behind what is there.
 * @param column at which the value begins
 */
export function blockLines(value: unknown, column: number, style: Style): string[] {
  if (!isBlock(value)) return [scalarText(value)];
  const lines = Array.isArray(value)
    ? value.flatMap((item: unknown) => itemLines(item, column, style))
    : Object.entries(value).flatMap(([key, member]) => memberLines(key, member, column, style));
  return [lines[0]?.slice(column) ?? "", ...lines.slice(1)];
}

/** A member of a map as lines, each with its indentation. @param column of its key */
export function memberLines(key: string, value: unknown, column: number, style: Style): string[] {
  const head = `${" ".repeat(column)}${scalarText(key)}:`;
  if (!isBlock(value)) return [`${head} ${scalarText(value)}`];
  const inner = column + (Array.isArray(value) ? style.listIndent : 2);
  const [first = "", ...rest] = blockLines(value, inner, style);
  return [head, " ".repeat(inner) + first, ...rest];
}

/** An item of a list as lines, each with its indentation. @param column of its "-" */
export function itemLines(value: unknown, column: number, style: Style): string[] {
  const [first = "", ...rest] = blockLines(value, column + 2, style);
  return [`${" ".repeat(column)}- ${first}`, ...rest];
}

/** How a flow collection is written. */
export interface FlowStyle {
  /** White space before a member that has a line of its own. */
  readonly indent: string;
  /** What one more level is indented by; null where members share a line. */
  readonly unit: string | null;
}

/** A value in flow style: JSON, which YAML contains. */
export function flowText(value: unknown, { indent, unit }: FlowStyle, { lineEnd, json }: Style): string {
  // Between brackets, older readers stop at the colon of an image.
  if (!json && !isBlock(value) && !String(value).includes(":")) return scalarText(value);
  // JSON's strings hold no line breaks: all there are come from the indentation.
  if (unit !== null) return jsonText(value, unit).replaceAll("\n", lineEnd + indent);
  return jsonText(value, " ").replace(/\n */g, " ");
}

/** A whole document. */
export function documentText(value: unknown, style: Style): string {
  return isObject(value) || Array.isArray(value) ? blockLines(value, 0, style).join(style.lineEnd) : scalarText(value);
}
