import { keyOf } from "./held-objects.ts";
import type { Watched } from "./watched-kind.ts";

/** Objects that are held, by something that they have in common: told of each change, as {@link HeldObjects} tells it. */
export class ObjectGroups<Held extends Watched> {
  readonly #groupOf: (object: Held) => string;
  readonly #groups = new Map<string, Map<string, Held>>();

  /** @param groupOf the same for all that an object becomes */
  constructor(groupOf: (object: Held) => string) {
    this.#groupOf = groupOf;
  }

  has(group: string): boolean {
    return this.#groups.has(group);
  }

  /** Its objects, in no order that means anything. */
  of(group: string): readonly Held[] {
    return [...(this.#groups.get(group)?.values() ?? [])];
  }

  change(before: Held | undefined, after: Held | undefined): void {
    if (after !== undefined) {
      const group = this.#groupOf(after);
      const known = this.#groups.get(group);
      if (known) known.set(keyOf(after), after);
      else this.#groups.set(group, new Map([[keyOf(after), after]]));
    } else if (before !== undefined) {
      const group = this.#groupOf(before);
      const known = this.#groups.get(group);
      known?.delete(keyOf(before));
      if (known?.size === 0) this.#groups.delete(group);
    }
  }
}
