import { BootstrapError } from "./bootstrap-error.ts";
import { discoveredFilter, type SlotEntry } from "./discovered-filter.ts";
import type { FilterChain } from "./filter-chains.ts";
import type { ListEdit } from "./filter-list.ts";
import type { HttpManager } from "./http-managers.ts";
import type { Inserted } from "./layout.ts";
import type { NodeIdentity } from "./node-identity.ts";
import type { SourceList } from "./source-node.ts";
import { firstDifference, pathText, type SourceStep, type SourceValue, scalarValue } from "./source-value.ts";

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
 * Compares what the edited text means with what it should mean: the input, plus the entries in every chain of every manager, minus
 * those of an earlier edit, plus the node's identity. Nothing else may differ.
 * @param before is changed into what is expected
 * @throws BootstrapError Unsupported where YAML aliases spread an insertion to where it doesn't belong, else Internal
 */
export function checkEdited(before: SourceValue, after: SourceValue, intent: Intent): void {
  for (const chain of intent.managers.flatMap(({ chains }) => chains)) expectEntries(before, chain, intent);
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

function expectEntries(root: SourceValue, chain: FilterChain, intent: Intent): void {
  const list = intent.lists.get(chain.list);
  const filters = chain.steps.reduce<SourceValue | undefined>(stepInto, root);
  if (!list || !Array.isArray(filters)) {
    throw new BootstrapError("Internal", `the filters of ${pathText(chain.steps)} are not where they were found`);
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
