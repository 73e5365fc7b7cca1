import { adminPort } from "./admin-port.ts";
import { BootstrapError } from "./bootstrap-error.ts";
import { checkRoot, checkSlots, type SlotEntry } from "./discovered-filter.ts";
import { editFilterList, type ListEdit } from "./filter-list.ts";
import { findHttpManagers, type HttpManager } from "./http-managers.ts";
import { readJson } from "./json-source.ts";
import { checkIdentity, editNode, type NodeIdentity } from "./node-identity.ts";
import { type SourceList, type SourceMap, sharesNodes } from "./source-node.ts";
import { meaningOf, pathText } from "./source-value.ts";
import { applySplices } from "./splice.ts";
import { refuseStrays } from "./strays.ts";
import { checkEdited } from "./verification.ts";
import { readYaml } from "./yaml-source.ts";

export type BootstrapFormat = "yaml" | "json";

/** What is to be put into an Envoy bootstrap. */
export interface BootstrapEdit {
  /** How Envoy will read the file: see bootstrapFormat. */
  readonly format: BootstrapFormat;
  /** The slots, in the order in which requests pass them inside each phase. */
  readonly entries: readonly SlotEntry[];
  /** Absolute path of the shared volume in the proxy, such as "/wasmount". */
  readonly root: string;
  /** Added only where the bootstrap's own node lacks them. */
  readonly node: NodeIdentity;
}

export interface EditedBootstrap {
  readonly text: string;
  /** Every HTTP connection manager edited: "static_resources.listeners[0].filter_chains[0].filters[1]". */
  readonly managers: readonly string[];
  /** As {@link adminPort} finds it. */
  readonly adminPort: number | null;
}

/** The largest bootstrap that is read, in UTF-16 code units: what a ConfigMap can hold. */
export const MAX_BOOTSTRAP_LENGTH = 1024 * 1024;

/**
 * How Envoy reads a file of this name: YAML for .yaml and .yml, JSON for everything but protobuf, in any case
 * (Envoy's MessageUtil::loadFromFile).
 * @throws BootstrapError UnsupportedFormat
 */
export function bootstrapFormat(path: string): BootstrapFormat {
  const name = path.toLowerCase();
  if (name.endsWith(".yaml") || name.endsWith(".yml")) return "yaml";
  const protobuf = [".pb", ".pb_text"].find(ending => name.endsWith(ending));
  if (protobuf === undefined) return "json";
  throw new BootstrapError(
    "UnsupportedFormat",
    `${path} ends with ${protobuf}, which Envoy reads as protobuf: only YAML (.yaml, .yml) and JSON can be edited`,
  );
}

/**
 * Puts a filter for each entry into every chain of every HTTP connection manager of a bootstrap, in place of those that
 * an earlier edit left. Everything else stays byte for byte; editing twice gives what editing once gave.
 * @param text the file, decoded from UTF-8
 * @throws BootstrapError
 */
export function editBootstrap(text: string, edit: BootstrapEdit): EditedBootstrap {
  checkSlots(edit.entries.map(entry => entry.slot));
  checkRoot(edit.root);
  checkIdentity(edit.node);
  if (text.length > MAX_BOOTSTRAP_LENGTH) {
    throw new BootstrapError(
      "TooLarge",
      `the configuration has ${text.length} characters, more than the ${MAX_BOOTSTRAP_LENGTH} that are read`,
    );
  }
  const mark = edit.format === "yaml" && text.startsWith("\uFEFF") ? "\uFEFF" : "";
  const body = text.slice(mark.length);
  const root = read(body, edit.format);
  const value = meaningOf(root);
  const managers = findHttpManagers(root);
  refuseStrays(value, managers);
  const lists = editLists(body, managers, edit);
  const node = editNode(body, root, edit.node);
  const edited = applySplices(body, [...node.splices, ...[...lists.values()].flatMap(list => list.splices)]);
  checkEdited(value, meaningOf(read(edited, edit.format)), {
    managers,
    lists,
    added: node.added,
    edit,
    shared: sharesNodes(root),
  });
  return { text: mark + edited, managers: managers.map(manager => manager.path), adminPort: adminPort(value) };
}

/** One edit for each list in the text: chains that share a list through an alias share its edit. */
function editLists(
  text: string,
  managers: readonly HttpManager[],
  edit: BootstrapEdit,
): ReadonlyMap<SourceList, ListEdit> {
  const lists = new Map<SourceList, ListEdit>();
  for (const { list, steps } of managers.flatMap(({ chains }) => chains)) {
    if (!lists.has(list)) lists.set(list, editFilterList(text, list, edit.entries, edit.root, pathText(steps)));
  }
  return lists;
}

function read(text: string, format: BootstrapFormat): SourceMap {
  const code = format === "yaml" ? "NotYaml" : "NotJson";
  if (text.includes("\0")) throw new BootstrapError(code, "the configuration holds NUL characters: write it in UTF-8");
  const { node } = format === "yaml" ? readYaml(text) : readJson(text);
  if (node.kind === "map") return node;
  throw new BootstrapError(code, "the configuration is not a mapping of the bootstrap's fields");
}
