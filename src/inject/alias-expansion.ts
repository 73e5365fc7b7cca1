import { type Alias, type Document, visit } from "yaml";
import type { Splice } from "../envoy/splice.ts";
import { flowText, type Style } from "./rendering.ts";
import type { Tree } from "./source-text.ts";

/**
 * Splices that write out what aliases name, for those whose anchor stands on something that other splices change: the
 * change is meant for one place, and would be seen at all.
 */
export function expandedAliases(tree: Document.Parsed, edits: readonly Splice[], style: Style): Splice[] {
  const expanded: Splice[] = [];
  visit(tree, {
    Alias(_key, alias: Alias.Parsed | Alias) {
      const named = alias.resolve(tree) as Tree | undefined;
      if (named === undefined || !alias.range) return;
      const [start, end] = alias.range;
      const isGone = edits.some(edit => edit.start <= start && edit.end >= end);
      if (isGone || !edits.some(edit => edit.end >= named.range[0] && edit.start <= named.range[2])) return;
      expanded.push({ start, end, text: flowText(named.toJS(tree), { indent: "", unit: null }, style) });
    },
  });
  return expanded;
}
