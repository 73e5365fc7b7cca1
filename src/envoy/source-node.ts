import { BootstrapError } from "./bootstrap-error.ts";

/**
 * A configuration file as Envoy reads it, each node with its place in the text, so that the text can be changed
 * at exactly those places. YAML and JSON give the same shape. An alias is the very node that its anchor names: two
 * uses of one anchor are one object.
 *
 * Offsets are UTF-16 code units into the text.
 */
export type SourceNode = SourceMap | SourceList | SourceScalar;

/** `block`: YAML's indentation. `flow`: YAML's or JSON's brackets. */
export type SourceStyle = "block" | "flow";

export interface SourceMap {
  readonly kind: "map";
  readonly style: SourceStyle;
  readonly fields: readonly SourceField[];
  /** Of the first field, or of the place just behind the opening bracket. */
  readonly start: number;
}

export interface SourceField {
  readonly key: string;
  /** The key carries Envoy's tag `!ignore`: Envoy drops the field, it only holds anchors. */
  readonly ignored: boolean;
  /** The key is a plain `<<`, which YAML 1.1 calls a merge and Envoy a field of that name. */
  readonly merge: boolean;
  readonly start: number;
  /** Just behind the colon; null where there is none. */
  readonly colon: number | null;
  readonly use: SourceUse;
}

export interface SourceList {
  readonly kind: "list";
  readonly style: SourceStyle;
  readonly items: readonly SourceItem[];
}

export interface SourceItem {
  /** Of the `-` in block style, of the value with its anchor and tag in flow style. */
  readonly start: number;
  readonly use: SourceUse;
}

export interface SourceScalar {
  readonly kind: "scalar";
  readonly text: string;
  /** Written without quotes: only then may it be null, a number or a boolean. */
  readonly plain: boolean;
  readonly tag: string;
}

/** A value at the place where it is used: for an alias the place of the alias, not that of the anchor. */
export interface SourceUse {
  readonly node: SourceNode;
  readonly start: number;
  readonly end: number;
}

/** Deeper files are refused: protobuf's own limit for nested messages is 100, and parsers recurse. */
export const MAX_DEPTH = 128;

/** Makes a map node. @throws BootstrapError DuplicateField */
export function sourceMap(style: SourceStyle, fields: readonly SourceField[], start: number): SourceMap {
  const seen = new Set<string>();
  for (const field of fields) {
    if (field.ignored) continue;
    if (seen.has(field.key)) {
      throw new BootstrapError(
        "DuplicateField",
        `the field ${JSON.stringify(field.key)} is set twice in one mapping: keep one of the two`,
      );
    }
    seen.add(field.key);
  }
  return { kind: "map", style, fields, start };
}

/** Whether Envoy reads the node as null, that is as a field that is not set. */
export function isNull(node: SourceNode): boolean {
  return node.kind === "scalar" && node.plain && /^(|~|null|Null|NULL)$/.test(node.text);
}

/** Whether the node says nothing: null, or an empty string, which protobuf can't tell from an unset field. */
export function isUnset(node: SourceNode): boolean {
  return isNull(node) || (node.kind === "scalar" && node.text === "");
}

/**
 * The field's value, under its protobuf name or its camelCase JSON name; undefined where it is missing or null.
 * @param name the protobuf name, such as "http_filters"
 * @param where the map's path, for messages
 * @throws BootstrapError DuplicateField for both names at once, Unsupported for a merge key
 */
export function fieldOf(map: SourceMap, name: string, where: string): SourceField | undefined {
  const json = name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const found = map.fields.filter(field => !field.ignored && (field.key === name || field.key === json));
  if (found.length > 1) {
    throw new BootstrapError("DuplicateField", `${where || "the bootstrap"} sets both ${name} and ${json}: keep one`);
  }
  if (map.fields.some(field => field.merge && !field.ignored)) {
    throw new BootstrapError(
      "Unsupported",
      `${where || "the bootstrap"} has a YAML merge key (<<): Envoy does not merge, it reads a field of that name. ` +
        "Write the fields out, or use an alias for the whole value",
    );
  }
  const field = found[0];
  return field && !isNull(field.use.node) ? field : undefined;
}

/** The text of a scalar; undefined for anything else. */
export function textOf(node: SourceNode | undefined): string | undefined {
  return node?.kind === "scalar" && !isNull(node) ? node.text : undefined;
}

/** Whether any value is used at more than one place, through an alias. */
export function sharesNodes(root: SourceNode): boolean {
  const seen = new Set<SourceNode>();
  const repeats = (node: SourceNode): boolean => {
    if (seen.has(node)) return true;
    seen.add(node);
    if (node.kind === "scalar") return false;
    const uses = node.kind === "list" ? node.items : node.fields;
    return uses.some(({ use }) => repeats(use.node));
  };
  return repeats(root);
}
