import { isCollection, isMap, isScalar, type Node, type Pair, type ParsedNode, visit } from "yaml";
import type { FlowStyle, Style } from "./rendering.ts";

/** A node with its place in the text, in UTF-16 code units. */
export type Tree = ParsedNode;
export type TreePair = Pair<ParsedNode, ParsedNode | null>;

/** The text of a file, and what lies where in it. */
export class SourceText {
  readonly text: string;
  readonly style: Style;

  constructor({ text, format }: { readonly text: string; readonly format: "yaml" | "json" }, tree: Node | null) {
    this.text = text;
    const lineEnd = text.includes("\r\n") ? "\r\n" : "\n";
    this.style = { lineEnd, listIndent: listIndentOf(tree, this), json: format === "json" };
  }

  /** Offset at which the line begins that `offset` lies on. */
  lineStart(offset: number): number {
    return this.text.lastIndexOf("\n", offset - 1) + 1;
  }

  /** How many characters lie between the line's beginning and `offset`. */
  column(offset: number): number {
    return offset - this.lineStart(offset);
  }

  /** Offset of the first line that begins at or behind `offset`; null where the text ends without a line end. */
  nextLine(offset: number): number | null {
    if (offset === this.lineStart(offset)) return offset;
    const end = this.text.indexOf("\n", offset);
    return end < 0 ? null : end + 1;
  }

  /** Whether nothing but white space stands between two offsets of one line. */
  isBlank(start: number, end: number): boolean {
    return /^[ \t]*$/.test(this.text.slice(start, end));
  }

  /** How the members of a flow collection are written, by the first of them. */
  flowStyle(collection: Tree, first: number): FlowStyle {
    const indent = this.#indentation(first);
    if (indent === null) return { indent: "", unit: null };
    const closing = this.#indentation(collection.range[1] - 1) ?? "";
    return { indent, unit: indent.slice(closing.length) || "  " };
  }

  /** The white space before `offset` where there is nothing else on its line. */
  #indentation(offset: number): string | null {
    const start = this.lineStart(offset);
    return start > 0 && this.isBlank(start, offset) ? this.text.slice(start, offset) : null;
  }
}

/** Offset just behind the colon of a pair; null where there is none. */
export function behindColon(pair: TreePair): number | null {
  const colon = sepOf(pair).find(({ type }) => type === "map-value-ind");
  return colon === undefined ? null : colon.offset + 1;
}

function sepOf({ srcToken }: TreePair): readonly { readonly type: string; readonly offset: number }[] {
  return (srcToken?.sep ?? []) as { type: string; offset: number }[];
}

/** Offset just behind the last character of a node that is no comment. */
export function endOf(node: Tree): number {
  if (!isCollection(node) || node.flow) return node.range[1];
  const last = node.items.at(-1) as Tree | TreePair | undefined;
  if (last === undefined) return node.range[1];
  return "range" in last ? endOf(last) : endOfPair(last);
}

export function endOfPair(pair: TreePair): number {
  if (pair.value && !isEmpty(pair.value)) return endOf(pair.value);
  return behindColon(pair) ?? endOf(pair.key);
}

/** Whether a node is a null that nothing was written for. */
export function isEmpty(node: Tree): boolean {
  return isScalar(node) && node.range[0] === node.range[1];
}

export function startOf(member: Tree | TreePair): number {
  return "range" in member ? member.range[0] : member.key.range[0];
}

/** A key as the object has it; null for one that is no scalar. */
export function keyText({ key }: TreePair): string | null {
  return isScalar(key) ? String(key.value) : null;
}

/** As the file's first list below a key has it; 2 where there is none. */
function listIndentOf(tree: Node | null, source: Pick<SourceText, "column">): number {
  let found: number | null = null;
  if (tree === null) return 2;
  visit(tree, {
    Pair(_key, pair) {
      const { key, value } = pair as TreePair;
      if (!value || !isCollection(value) || isMap(value) || value.flow || value.items.length === 0) return undefined;
      found = source.column(value.range[0]) - source.column(key.range[0]);
      return visit.BREAK;
    },
  });
  return found === 0 ? 0 : 2;
}
