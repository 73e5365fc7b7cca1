import fc from "fast-check";

type Container = Record<string, unknown>;

/** A place in a document: a member of an object or an item of a list. */
interface Slot {
  readonly container: Container;
  readonly key: string;
}

const odd = fc.oneof(
  fc.constantFrom<unknown>(null, true, -1, 0, 0.5, 2 ** 53, "", "x", "wasm", "\u0000", [], {}, [null], [[]], { a: 1 }),
  fc.string({ maxLength: 300 }),
  fc.jsonValue({ maxDepth: 2 }),
);
const change = fc.record({ where: fc.nat(), from: fc.nat(), how: fc.nat(4), value: odd });

/** Documents that are JSON still, with other values, members and items in up to four places. */
export function jsonInputs(documents: readonly object[]): fc.Arbitrary<Buffer> {
  return fc
    .tuple(fc.constantFrom(...documents), fc.array(change, { minLength: 1, maxLength: 4 }))
    .map(([document, changes]) => {
      const root = { root: structuredClone(document) };
      for (const { where, from, how, value } of changes) {
        const slots = slotsOf(root);
        const slot = slots[where % slots.length];
        const other = slots[from % slots.length];
        if (slot && other) apply(slot, other, how, structuredClone(value));
      }
      return Buffer.from(JSON.stringify(root.root) ?? "");
    });
}

function apply({ container, key }: Slot, other: Slot, how: number, value: unknown): void {
  const current = container[key];
  if (how === 0) container[key] = value;
  else if (how === 1) delete container[key];
  else if (how === 2) container[key] = structuredClone(other.container[other.key]);
  else if (how === 3) container[other.key] = structuredClone(current);
  else if (Array.isArray(current)) current.push(...Array<unknown>(80).fill(current[0] ?? null));
  else container[key] = [current];
}

function slotsOf(value: unknown): Slot[] {
  if (typeof value !== "object" || value === null) return [];
  const container = value as Container;
  return Object.keys(container).flatMap(key => [{ container, key }, ...slotsOf(container[key])]);
}
