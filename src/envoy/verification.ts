import { BootstrapError } from "./bootstrap-error.ts";
import { discoveredFilter, type SlotEntry } from "./discovered-filter.ts";
import type { ListEdit } from "./filter-list.ts";
import type { HttpManager } from "./http-managers.ts";
import type { Inserted } from "./layout.ts";
import type { NodeIdentity } from "./node-identity.ts";
import type { SourceList } from "./source-node.ts";
import {
  firstDifference,
  pathText,
  type SourceStep,
  type SourceValue,
  scalarText,
  scalarValue,
} from "./source-value.ts";
import { isAnyHttpManager, messageName } from "./type-names.ts";

/** What an edit was meant to do. */
export interface Intent {
  readonly managers: readonly HttpManager[];
  readonly lists: ReadonlyMap<SourceList, ListEdit>;
  readonly added: Partial<NodeIdentity>;
  readonly edit: { readonly entries: readonly SlotEntry[]; readonly root: string };
  /** Whether parts of the text mean several places, through aliases. */
  readonly shared: boolean;
}

/**
 * Refuses a bootstrap with an HTTP connection manager in a place that is not edited: it would serve unfiltered.
 * @throws BootstrapError Unsupported
 */
export function refuseStrayManagers(value: SourceValue, managers: readonly HttpManager[]): void {
  const known = new Set(managers.map(manager => pathText(manager.config)));
  const visit = (node: SourceValue, steps: readonly SourceStep[]): void => {
    if (typeof node === "string") return;
    if (node instanceof Map && namesHttpManager(node) && !isKnown(known, steps, node)) {
      throw new BootstrapError(
        "Unsupported",
        `there is an HTTP connection manager at ${pathText(steps)}, where it can't be edited: ` +
          "only network filters of static listeners and api_listener can",
      );
    }
    for (const [step, child] of node.entries()) visit(child, [...steps, step]);
  };
  visit(value, []);
}

function namesHttpManager(map: ReadonlyMap<string, SourceValue>): boolean {
  return ["@type", "type_url", "typeUrl"].some(key => {
    const url = scalarText(map.get(key));
    return url !== undefined && isAnyHttpManager(messageName(url));
  });
}

function isKnown(
  known: ReadonlySet<string>,
  steps: readonly SourceStep[],
  map: ReadonlyMap<string, SourceValue>,
): boolean {
  return known.has(pathText(steps)) || (map.has("value") && known.has(pathText([...steps, "value"])));
}

/**
 * Compares what the edited text means with what it should mean: the input, plus the entries in every manager, minus
 * those of an earlier edit, plus the node's identity. Nothing else may differ.
 * @param before is changed into what is expected
 * @throws BootstrapError Unsupported where YAML aliases spread an insertion to where it doesn't belong, else Internal
 */
export function checkEdited(before: SourceValue, after: SourceValue, intent: Intent): void {
  for (const manager of intent.managers) expectEntries(before, manager, intent);
  if (Object.keys(intent.added).length > 0 && before instanceof Map) expectNode(before, intent.added);
  const difference = firstDifference(before, after);
  if (!difference) return;
  const place = pathText(difference) || "the top level";
  if (!intent.shared)
    throw new BootstrapError("Internal", `the edited configuration is not what was meant at ${place}`);
  throw new BootstrapError(
    "Unsupported",
    `the edit would change ${place}, too, which shares a YAML anchor with an edited part: write one of them out`,
  );
}

function expectEntries(root: SourceValue, manager: HttpManager, intent: Intent): void {
  const list = intent.lists.get(manager.filters);
  const filters = manager.filtersPath.reduce<SourceValue | undefined>(stepInto, root);
  if (!list || !Array.isArray(filters)) {
    throw new BootstrapError("Internal", `the http_filters of ${manager.path} are not where they were found`);
  }
  const own = list.kept.flatMap(index => filters[index] ?? []);
  const entries = (phase: SlotEntry["phase"]): SourceValue[] =>
    intent.edit.entries
      .filter(entry => entry.phase === phase)
      .map(entry => insertedValue(discoveredFilter(entry.slot, intent.edit.root)));
  const expected = [
    ...entries("first"),
    ...own.slice(0, list.terminal),
    ...entries("last"),
    ...own.slice(list.terminal),
  ];
  filters.splice(0, filters.length, ...expected);
}

function stepInto(value: SourceValue | undefined, step: SourceStep): SourceValue | undefined {
  if (value instanceof Map) return typeof step === "string" ? value.get(step) : undefined;
  return Array.isArray(value) && typeof step === "number" ? value[step] : undefined;
}

function expectNode(root: Map<string, SourceValue>, added: Partial<NodeIdentity>): void {
  const present = root.get("node");
  const node = present instanceof Map ? present : new Map<string, SourceValue>();
  for (const [name, value] of Object.entries(added)) node.set(name, scalarValue(value, false));
  root.set("node", node);
}

function insertedValue(value: Inserted): SourceValue {
  if (typeof value === "string") return scalarValue(value, false);
  if (Array.isArray(value)) return value.map(insertedValue);
  return new Map(Object.entries(value).map(([key, member]) => [key, insertedValue(member)]));
}
