import { BootstrapError } from "./bootstrap-error.ts";
import { MAX_DEPTH, type SourceNode } from "./source-node.ts";

/**
 * What a configuration means to Envoy, aliases written out and `!ignore` fields dropped: the form in which two texts
 * are compared. A scalar starts with `p` or `q`, for plain or quoted, since that decides its type. Maps, not objects,
 * so that no key is special.
 */
export type SourceValue = string | SourceValue[] | Map<string, SourceValue>;

/** Aliases multiply: this bounds what they may grow to, counted in values. */
export const MAX_VALUES = 1_000_000;

/** A step to a value: a field's key as written, or an item's index. */
export type SourceStep = string | number;

/** @throws BootstrapError TooLarge */
export function meaningOf(root: SourceNode): SourceValue {
  let count = 0;
  const expand = (node: SourceNode, depth: number): SourceValue => {
    count++;
    if (depth > MAX_DEPTH) {
      throw new BootstrapError(
        "TooLarge",
        `with its aliases written out, the configuration nests deeper than ${MAX_DEPTH} levels`,
      );
    }
    if (count > MAX_VALUES) {
      throw new BootstrapError(
        "TooLarge",
        `with its aliases written out, the configuration has over ${MAX_VALUES} values`,
      );
    }
    if (node.kind === "scalar") return scalarValue(node.text, node.plain);
    if (node.kind === "list") return node.items.map(item => expand(item.use.node, depth + 1));
    const fields = node.fields.filter(field => !field.ignored);
    return new Map(fields.map(field => [field.key, expand(field.use.node, depth + 1)]));
  };
  return expand(root, 1);
}

/** The value of a scalar as valueOf gives it. */
export function scalarValue(text: string, plain: boolean): string {
  return `${plain ? "p" : "q"}${text}`;
}

/** The text of a scalar value. */
export function scalarText(value: SourceValue | undefined): string | undefined {
  return typeof value === "string" ? value.slice(1) : undefined;
}

/** The path for people: "static_resources.listeners[0].filter_chains[1]". */
export function pathText(steps: readonly SourceStep[]): string {
  return steps
    .map((step, index) => (typeof step === "number" ? `[${step}]` : `${index === 0 ? "" : "."}${step}`))
    .join("");
}

/** The path of the first place where the two differ, or undefined where they are the same. */
export function firstDifference(a: SourceValue, b: SourceValue): readonly SourceStep[] | undefined {
  if (typeof a === "string" || typeof b === "string") return a === b ? undefined : [];
  if (Array.isArray(a) !== Array.isArray(b)) return [];
  const left = entriesOf(a);
  const right = entriesOf(b);
  if (left.size !== right.size) return [];
  for (const [step, value] of left) {
    const other = right.get(step);
    if (other === undefined) return [step];
    const rest = firstDifference(value, other);
    if (rest) return [step, ...rest];
  }
  return undefined;
}

function entriesOf(value: SourceValue[] | Map<string, SourceValue>): ReadonlyMap<SourceStep, SourceValue> {
  return new Map<SourceStep, SourceValue>(value.entries());
}
