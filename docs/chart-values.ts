import { readFileSync } from "node:fs";
import { isMap, isScalar, parseDocument, type YAMLMap } from "yaml";

/** A value of the chart as values.yaml documents it. */
export interface ChartValue {
  /** As in `image.repository`. */
  readonly path: string;
  /** What stands behind "# --". */
  readonly description: string;
  readonly fallback: unknown;
}

const MARK = "-- ";

/** The values of a values.yaml, in its order. @throws Error for a value that nothing documents */
export function chartValues(text: string): readonly ChartValue[] {
  const document = parseDocument(text);
  if (document.errors[0]) throw document.errors[0];
  if (!isMap(document.contents)) throw new Error("values.yaml is no mapping");
  return valuesOf(document.contents, "", null);
}

/** The chart's own. */
export function ownChartValues(): readonly ChartValue[] {
  return chartValues(readFileSync(new URL("../charts/wasmount/values.yaml", import.meta.url), "utf8"));
}

/** @param first the comment that the parser gives to the mapping, though it stands before its first key */
function valuesOf(map: YAMLMap, prefix: string, first: string | null): ChartValue[] {
  return map.items.flatMap(({ key, value }, index) => {
    if (!isScalar(key)) throw new Error(`values.yaml has a key below ${prefix} that is no text`);
    const path = `${prefix}${key.value}`;
    const before = key.commentBefore ?? (index === 0 ? (first ?? map.commentBefore) : null) ?? "";
    const description = descriptionOf(before);
    if (description !== null) return [{ path, description, fallback: plain(value) }];
    if (isMap(value) && value.items.length > 0) return valuesOf(value, `${path}.`, value.commentBefore ?? null);
    throw new Error(`values.yaml doesn't say what ${path} means: write "# -- ..." before it`);
  });
}

/** The last paragraph of a comment, where it is a description. Those before it are for readers of the file. */
function descriptionOf(comment: string): string | null {
  const lines = comment.split("\n").map(line => line.trim());
  const start = lines.findLastIndex(line => line.startsWith(MARK));
  if (start < 0) return null;
  return lines.slice(start).join(" ").slice(MARK.length).trim();
}

function plain(node: unknown): unknown {
  const { toJSON } = node as { readonly toJSON?: () => unknown };
  return typeof toJSON === "function" ? toJSON.call(node) : node;
}
