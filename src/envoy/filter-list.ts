import { BootstrapError } from "./bootstrap-error.ts";
import { discoveredFilter, type SlotEntry } from "./discovered-filter.ts";
import { blockLines, flowText, type Inserted, isTight, type Layout, layoutAt } from "./layout.ts";
import { isOwnEntry } from "./own-entry.ts";
import { fieldOf, type SourceItem, type SourceList, textOf } from "./source-node.ts";
import type { Splice } from "./splice.ts";
import { configuredType, ROUTER_NAME, ROUTER_TYPE } from "./type-names.ts";

/** What becomes of one list of HTTP filters. */
export interface ListEdit {
  /** Indices of the author's own items, in order. */
  readonly kept: readonly number[];
  /** How many of the kept items come before the terminal filter. */
  readonly terminal: number;
  readonly splices: readonly Splice[];
}

/**
 * Puts the entries into a list of http filters: those of phase `first` at its head, those of phase `last` before the
 * terminal filter; entries that an earlier edit left are removed.
 * @param where the list's path, for messages
 * @throws BootstrapError Unsupported, DuplicateField
 */
export function editFilterList(
  text: string,
  list: SourceList,
  entries: readonly SlotEntry[],
  root: string,
  where: string,
): ListEdit {
  const ours = list.items.map((item, index) => isOwnEntry(item.use.node, `${where}[${index}]`));
  const kept = ours.flatMap((own, index) => (own ? [] : [index]));
  const terminal = terminalAmong(kept, list, where);
  const filtersOf = (phase: SlotEntry["phase"]) =>
    entries.filter(entry => entry.phase === phase).map(entry => discoveredFilter(entry.slot, root));
  const splices = new Map<number, Inserted[]>();
  for (const [position, filters] of [[0, filtersOf("first")] as const, [terminal, filtersOf("last")] as const]) {
    const index = kept[position];
    if (index === undefined || filters.length === 0) continue;
    splices.set(index, [...(splices.get(index) ?? []), ...filters]);
  }
  return {
    kept,
    terminal,
    splices: [
      ...list.items.flatMap((_, index) => (ours[index] ? [removal(text, list, kept, index)] : [])),
      ...[...splices].map(([index, filters]) => insertion(text, list, kept, index, filters)),
    ],
  };
}

function terminalAmong(kept: readonly number[], list: SourceList, where: string): number {
  if (kept.length === 0) {
    throw new BootstrapError("Unsupported", `${where} holds no filter of the author's: it needs a router`);
  }
  const byType = kept.findLastIndex(index => typeOf(list.items[index], `${where}[${index}]`) === ROUTER_TYPE);
  if (byType !== -1) return byType;
  const byName = kept.findLastIndex(index => nameOf(list.items[index], `${where}[${index}]`) === ROUTER_NAME);
  return byName !== -1 ? byName : kept.length - 1;
}

function nameOf(item: SourceItem | undefined, where: string): string | undefined {
  return item?.use.node.kind === "map" ? textOf(fieldOf(item.use.node, "name", where)?.use.node) : undefined;
}

function typeOf(item: SourceItem | undefined, where: string): string | undefined {
  if (item?.use.node.kind !== "map") return undefined;
  const config = fieldOf(item.use.node, "typed_config", where);
  return config && configuredType(config.use.node, `${where}.${config.key}`);
}

function insertion(
  text: string,
  list: SourceList,
  kept: readonly number[],
  index: number,
  filters: readonly Inserted[],
): Splice {
  const item = at(list, index);
  const layout = layoutAt(text, item.start);
  if (list.style === "flow") return flowInsertion(text, item, layout, filters);
  const entries = filters.map(filter => blockEntry(filter, layout));
  if (!layout.firstOnLine || movesUp(text, list, kept, index)) {
    return splice(item.start, entries.map(entry => `${entry}${layout.newline}${layout.indent}`).join(""));
  }
  const floor = index === 0 ? 0 : at(list, index - 1).use.end;
  const start = aboveComments(text, layout, floor);
  return splice(start, entries.map(entry => `${layout.indent}${entry}${layout.newline}`).join(""));
}

function blockEntry(filter: Inserted, layout: Layout): string {
  if (typeof filter === "string" || !("name" in filter)) return `- ${flowText(filter)}`;
  return blockLines(filter)
    .map((line, index) => (index === 0 ? `- ${line}` : `${layout.indent}  ${line}`))
    .join(layout.newline);
}

/** The comments right above an item, at its own indentation, belong to it: what is inserted goes above them. */
function aboveComments(text: string, layout: Layout, floor: number): number {
  let start = layout.lineStart;
  while (start > floor) {
    const previous = text.lastIndexOf("\n", start - 2) + 1;
    const line = text.slice(previous, start);
    if (!line.startsWith(`${layout.indent}#`)) break;
    start = previous;
  }
  return start;
}

function flowInsertion(text: string, item: SourceItem, layout: Layout, filters: readonly Inserted[]): Splice {
  const unit = layout.firstOnLine ? unitInside(text, item, layout) : null;
  const tight = item.use.node.kind === "map" && isTight(text, item.use.node);
  const blank = tight ? "" : " ";
  const separator = layout.firstOnLine ? `,${layout.newline}${layout.indent}` : `,${blank}`;
  const written = filters.map(filter =>
    unit === null
      ? flowText(filter, blank)
      : JSON.stringify(filter, null, unit).replaceAll("\n", `${layout.newline}${layout.indent}`),
  );
  return splice(item.start, written.map(entry => entry + separator).join(""));
}

/** The indentation that the item's own fields have beyond it; null where they are on its line. */
function unitInside(text: string, item: SourceItem, layout: Layout): string | null {
  if (item.use.node.kind !== "map" || item.use.start !== item.start) return null;
  const inner = layoutAt(text, item.use.node.start);
  if (!inner.firstOnLine || inner.lineStart === layout.lineStart) return null;
  const unit = inner.indent.startsWith(layout.indent) ? inner.indent.slice(layout.indent.length) : "";
  return unit === "" || unit.length > 10 ? "  " : unit;
}

function removal(text: string, list: SourceList, kept: readonly number[], index: number): Splice {
  const item = at(list, index);
  const next = list.items[index + 1];
  const layout = layoutAt(text, item.start);
  if (list.style === "block" && layout.firstOnLine && !movesUp(text, list, kept, index)) {
    return { start: layout.lineStart, end: lineAfter(text, item.use.end), text: "" };
  }
  if (next) return { start: item.start, end: next.start, text: "" };
  const before = kept.at(-1);
  return { start: before === undefined ? item.start : at(list, before).use.end, end: item.use.end, text: "" };
}

/** Whether the list starts behind something on its line and the item, or what follows it, must move up to there. */
function movesUp(text: string, list: SourceList, kept: readonly number[], index: number): boolean {
  return index <= (kept[0] ?? 0) && !layoutAt(text, at(list, 0).start).firstOnLine;
}

/** Behind the rest of the line, which may hold a comment; a block scalar already ends at a line's start. */
function lineAfter(text: string, end: number): number {
  if (text[end - 1] === "\n") return end;
  const newline = text.indexOf("\n", end);
  return newline === -1 ? text.length : newline + 1;
}

function at(list: SourceList, index: number): SourceItem {
  const item = list.items[index];
  if (!item) throw new BootstrapError("Internal", `a list of ${list.items.length} filters has no item ${index}`);
  return item;
}

function splice(start: number, text: string): Splice {
  return { start, end: start, text };
}
