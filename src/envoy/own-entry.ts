import { DNS_LABEL } from "../kube/dns-label.ts";
import { BootstrapError } from "./bootstrap-error.ts";
import { filterPath, RESERVED_PREFIX } from "./discovered-filter.ts";
import { fieldOf, type SourceMap, type SourceNode, textOf } from "./source-node.ts";

const FIELDS: readonly string[] = ["name", "config_discovery"];

/**
 * Whether an item of a filter list was put there by an earlier edit, of this release or another, with whatever root: it
 * is named after a slot and reads its configuration from that slot's filter file, and nothing else is said of it.
 * @param where its path, for messages
 * @throws BootstrapError Unsupported for anything else under our names: it would neither be kept nor be ours
 */
export function isOwnEntry(item: SourceNode, where: string): boolean {
  if (item.kind !== "map") return false;
  const name = textOf(fieldOf(item, "name", where)?.use.node);
  if (!name?.startsWith(RESERVED_PREFIX)) return false;
  if (readsItsFilterFile(item, name.slice(RESERVED_PREFIX.length), where)) return true;
  throw new BootstrapError(
    "Unsupported",
    `${where} is named ${JSON.stringify(name.slice(0, 100))}: names that begin with ${RESERVED_PREFIX} are for the filters that are put in ` +
      "here, which read their configuration from filter files. Give the filter another name",
  );
}

function readsItsFilterFile(item: SourceMap, slot: string, where: string): boolean {
  if (!DNS_LABEL.test(slot) || item.fields.some(({ key }) => !FIELDS.includes(key))) return false;
  const path = ["config_discovery", "config_source", "path_config_source", "path"].reduce<SourceNode | undefined>(
    (node, name) => (node?.kind === "map" ? fieldOf(node, name, where)?.use.node : undefined),
    item,
  );
  return textOf(path)?.endsWith(filterPath("/", slot)) === true;
}
