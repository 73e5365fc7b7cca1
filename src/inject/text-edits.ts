import { isDeepStrictEqual } from "node:util";
import { isMap, isSeq, type YAMLMap, type YAMLSeq } from "yaml";
import { isObject } from "../admission/review-member.ts";
import type { Splice } from "../envoy/splice.ts";
import type { Origins } from "./applied.ts";
import { type Alignment, alignLists } from "./list-alignment.ts";
import { blockLines, type FlowStyle, flowText, isBlock, itemLines, memberLines } from "./rendering.ts";
import {
  behindColon,
  endOf,
  endOfPair,
  isEmpty,
  keyText,
  type SourceText,
  startOf,
  type Tree,
  type TreePair,
} from "./source-text.ts";

type List = YAMLSeq.Parsed<Tree>;
type TreeMap = YAMLMap.Parsed<Tree, Tree | null>;

/** Where a value hangs: in a flow collection, behind the colon of a key, or behind the "-" of an item. */
type Slot =
  | { readonly kind: "flow"; readonly behind: number | null; readonly flow: FlowStyle }
  | { readonly kind: "member" | "item"; readonly behind: number | null; readonly column: number };

/**
 * The changes to a text that make another value of one of its documents. Only what differs is touched: comments, quotes
 * and indentation of everything else stay. The result is to be read back and compared: a text may hold more than a tree
 * tells, such as an anchor on a changed place.
 */
export function textEdits(source: SourceText, tree: Tree, before: unknown, after: unknown, origins: Origins): Splice[] {
  const edits = new Edits(source, origins);
  const slot: Slot = source.style.json
    ? { kind: "flow", behind: null, flow: { indent: "", unit: null } }
    : { kind: "member", behind: null, column: 0 };
  edits.value(tree, slot, before, after);
  return edits.splices;
}

class Edits {
  readonly splices: Splice[] = [];
  readonly #source: SourceText;
  readonly #origins: Origins;

  constructor(source: SourceText, origins: Origins) {
    this.#source = source;
    this.#origins = origins;
  }

  value(node: Tree | null, slot: Slot, before: unknown, after: unknown): void {
    if (before === after || isDeepStrictEqual(before, after)) return;
    if (isMap(node) && isObject(before) && isObject(after) && hasAllKeys(before, after)) {
      this.#map(node as TreeMap, before, after);
      return;
    }
    if (isSeq(node) && Array.isArray(before) && Array.isArray(after)) {
      const alignment = before.length > 0 ? alignLists(before, after, this.#origins) : null;
      if (alignment !== null) {
        this.#list(node as List, before, after, alignment);
        return;
      }
    }
    if (slot.kind === "flow") this.#replaceInFlow(node, slot.behind, slot.flow, after);
    else this.#replaceInBlock(node, slot, after);
  }

  #map(map: TreeMap, before: Record<string, unknown>, after: Record<string, unknown>): void {
    const added: [string, unknown][] = [];
    for (const [key, value] of Object.entries(after)) {
      const pair = map.items.find(candidate => keyText(candidate) === key);
      if (pair) this.value(pair.value, this.#memberSlot(map, pair), before[key], value);
      else if (before[key] !== value) added.push([key, value]);
    }
    const [first, last] = [map.items[0], map.items.at(-1)];
    if (added.length === 0) return;
    if (map.flow) this.#addToFlow(map, first, last && endOfPair(last), added);
    else if (first && last) {
      const column = this.#source.column(startOf(first));
      for (const [key, value] of added) {
        this.#insertLines(endOfPair(last), memberLines(key, value, column, this.#source.style));
      }
    }
  }

  #memberSlot(map: TreeMap, pair: TreePair): Slot {
    const behind = behindColon(pair);
    if (map.flow) return { kind: "flow", behind, flow: this.#source.flowStyle(map, startOf(pair)) };
    return { kind: "member", behind, column: this.#source.column(startOf(pair)) };
  }

  #list(list: List, before: readonly unknown[], after: readonly unknown[], alignment: Alignment): void {
    for (const [at, index] of alignment.entries()) {
      const node = index === null ? undefined : list.items[index];
      if (index !== null && node) this.value(node, this.#itemSlot(list, index, node), before[index], after[at]);
      else this.#insertItem(list, alignment.slice(0, at).findLast(former => former !== null) ?? null, after[at]);
    }
  }

  #itemSlot(list: List, index: number, node: Tree): Slot {
    if (list.flow) return { kind: "flow", behind: null, flow: this.#source.flowStyle(list, startOf(node)) };
    const dash = dashOf(list, index);
    return { kind: "item", behind: dash && dash + 1, column: this.#source.column(dash ?? startOf(node)) };
  }

  /** @param previous index of the item that it comes to stand behind, null for none */
  #insertItem(list: List, previous: number | null, value: unknown): void {
    const first = list.items[0];
    const before = previous === null ? undefined : list.items[previous];
    if (first === undefined) return;
    if (list.flow) {
      const flow = this.#source.flowStyle(list, startOf(first));
      const text = flowText(value, flow, this.#source.style);
      const comma = this.#comma(flow);
      if (before) this.#insert(endOf(before), comma + text);
      else this.#insert(startOf(first), text + comma);
      return;
    }
    const dash = dashOf(list, 0) ?? startOf(first);
    const lines = itemLines(value, this.#source.column(dash), this.#source.style);
    if (before) this.#insertLines(endOf(before), lines);
    else this.#insertLines(this.#aboveComments(dash), lines);
  }

  /** The beginning of the line of `offset`, or of the comments right above it. */
  #aboveComments(offset: number): number {
    const { text } = this.#source;
    let start = this.#source.lineStart(offset);
    while (start > 0) {
      const above = this.#source.lineStart(start - 1);
      if (!/^[ \t]*#/.test(text.slice(above, start))) break;
      start = above;
    }
    return start;
  }

  #addToFlow(
    map: TreeMap,
    first: TreePair | undefined,
    end: number | undefined,
    added: readonly (readonly [string, unknown])[],
  ): void {
    const { style } = this.#source;
    const flow = first ? this.#source.flowStyle(map, startOf(first)) : { indent: "", unit: null };
    const members = added.map(([key, value]) => `${flowText(key, flow, style)}: ${flowText(value, flow, style)}`);
    if (end !== undefined) for (const member of members) this.#insert(end, this.#comma(flow) + member);
    else this.#replace(map.range[0], map.range[1], `{ ${members.join(", ")} }`);
  }

  #comma({ indent, unit }: FlowStyle): string {
    return unit === null ? ", " : `,${this.#source.style.lineEnd}${indent}`;
  }

  #replaceInFlow(node: Tree | null, behind: number | null, flow: FlowStyle, value: unknown): void {
    const text = flowText(value, flow, this.#source.style);
    if (node && !isEmpty(node)) this.#replace(node.range[0], node.range[1], text);
    else if (behind !== null) this.#insert(behind, ` ${text}`);
  }

  #replaceInBlock(node: Tree | null, slot: Extract<Slot, { kind: "member" | "item" }>, value: unknown): void {
    const { behind } = slot;
    const { style } = this.#source;
    const written = node && !isEmpty(node) ? node : null;
    if (written === null) {
      if (behind !== null) this.#fill(behind, slot, value);
      return;
    }
    const start = written.range[0];
    const end = endOf(written);
    const ownLine = behind === null || !this.#source.isBlank(behind, start);
    const closing = this.#source.lineStart(end) === end ? style.lineEnd : "";
    if (slot.kind === "member" && isBlock(value) && !ownLine && behind !== null) {
      const inner = this.#inner(slot, value);
      const lines = blockLines(value, inner, style);
      this.#replace(behind, end, style.lineEnd + " ".repeat(inner) + lines.join(style.lineEnd) + closing);
      return;
    }
    const lines = blockLines(value, this.#source.column(start), style);
    this.#replace(start, end, lines.join(style.lineEnd) + closing);
  }

  /** Writes a value where only its key or its "-" stands. */
  #fill(behind: number, slot: Extract<Slot, { kind: "member" | "item" }>, value: unknown): void {
    const { style } = this.#source;
    const inner = this.#inner(slot, value);
    const [first = "", ...rest] = blockLines(value, inner, style);
    if (slot.kind === "member" && isBlock(value)) {
      this.#insertLines(behind, [" ".repeat(inner) + first, ...rest]);
    } else this.#insert(behind, ` ${[first, ...rest].join(style.lineEnd)}`);
  }

  #inner({ kind, column }: { readonly kind: "member" | "item"; readonly column: number }, value: unknown): number {
    return column + (kind === "member" && Array.isArray(value) ? this.#source.style.listIndent : 2);
  }

  /** Inserts whole lines at the first line that begins at or behind `offset`. */
  #insertLines(offset: number, lines: readonly string[]): void {
    const { lineEnd } = this.#source.style;
    const at = this.#source.nextLine(offset);
    if (at === null) this.#insert(this.#source.text.length, lineEnd + lines.join(lineEnd));
    else this.#insert(at, lines.join(lineEnd) + lineEnd);
  }

  #insert(offset: number, text: string): void {
    this.#replace(offset, offset, text);
  }

  #replace(start: number, end: number, text: string): void {
    this.splices.push({ start, end, text });
  }
}

/** Whether a change of a map leaves all its members there. */
function hasAllKeys(before: Record<string, unknown>, after: Record<string, unknown>): boolean {
  const keys = Object.keys(before);
  return keys.length > 0 && keys.every(key => Object.hasOwn(after, key));
}

/** Offset of the "-" of an item in block style. */
function dashOf({ srcToken }: List, index: number): number | null {
  const tokens = srcToken && "items" in srcToken ? srcToken.items[index]?.start : undefined;
  const dash = tokens?.find(({ type }) => type === "seq-item-ind");
  return dash && "offset" in dash ? dash.offset : null;
}
