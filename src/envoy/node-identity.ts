import { BootstrapError } from "./bootstrap-error.ts";
import { blockLines, flowText, type Inserted, isTight, layoutAt } from "./layout.ts";
import { fieldOf, isNull, isUnset, type SourceField, type SourceMap } from "./source-node.ts";
import type { Splice } from "./splice.ts";

/** How an Envoy names itself. It refuses discovery from files, too, where either is missing. */
export interface NodeIdentity {
  readonly id: string;
  readonly cluster: string;
}

/** What is added to the bootstrap's `node`, and how. */
export interface NodeEdit {
  readonly added: Partial<NodeIdentity>;
  readonly splices: readonly Splice[];
}

/** Adds what the bootstrap's node lacks. What it has stays, also where it differs. */
export function editNode(text: string, root: SourceMap, identity: NodeIdentity): NodeEdit {
  const whole = { id: identity.id, cluster: identity.cluster };
  const field = fieldOf(root, "node", "");
  if (!field) {
    const unset = root.fields.find(({ key, ignored }) => key === "node" && !ignored);
    const splice = unset ? fill(text, unset, whole) : insertFields(text, root, { node: whole });
    return { added: whole, splices: [splice] };
  }
  const node = field.use.node;
  if (node.kind !== "map") throw new BootstrapError("Unsupported", "the bootstrap's node is not a mapping");
  const splices: Splice[] = [];
  const absent: { id?: string; cluster?: string } = {};
  const added: { id?: string; cluster?: string } = {};
  for (const name of ["id", "cluster"] as const) {
    const present = node.fields.find(({ key, ignored }) => key === name && !ignored);
    if (present && !isUnset(present.use.node)) continue;
    added[name] = identity[name];
    if (present) splices.push(fill(text, present, identity[name]));
    else absent[name] = identity[name];
  }
  if (Object.keys(absent).length > 0) splices.push(insertFields(text, node, { ...absent }));
  return { added, splices };
}

/** @throws BootstrapError InvalidInput */
export function checkIdentity(identity: NodeIdentity): void {
  for (const [name, value] of Object.entries({ id: identity.id, cluster: identity.cluster })) {
    if (/^[\x21-\x7e]{1,512}$/.test(value)) continue;
    throw new BootstrapError(
      "InvalidInput",
      `the node's ${name} ${JSON.stringify(value)} is not 1 to 512 printable ASCII characters without blanks`,
    );
  }
}

/** Gives an unset field its value, in place of what stands there. */
function fill(text: string, field: SourceField, value: Inserted): Splice {
  if (field.colon === null) {
    throw new BootstrapError("Unsupported", `the bootstrap's field ${field.key} has no colon: give it a value`);
  }
  const written = flowText(value);
  const empty = isNull(field.use.node) && field.use.start === field.use.end;
  if (!empty) return { start: field.use.start, end: field.use.end, text: written };
  const tight = /\S/.test(text[field.colon] ?? "\n");
  return { start: field.colon, end: field.colon, text: ` ${written}${tight ? " " : ""}` };
}

function insertFields(text: string, map: SourceMap, fields: { readonly [key: string]: Inserted }): Splice {
  const layout = layoutAt(text, map.start);
  const separator = layout.newline + layout.indent;
  if (map.style === "block") {
    const lines = blockLines(fields).join(separator);
    return { start: map.start, end: map.start, text: lines + separator };
  }
  const blank = isTight(text, map) ? "" : " ";
  const members = Object.entries(fields).map(
    ([key, value]) => `${JSON.stringify(key)}:${blank}${flowText(value, blank)}`,
  );
  const between = layout.firstOnLine ? `,${separator}` : `,${blank}`;
  const tail = map.fields.length > 0 ? between : "";
  return { start: map.start, end: map.start, text: members.join(between) + tail };
}
