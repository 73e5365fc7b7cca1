import type { Watched } from "./watched-kind.ts";

/** What is done with objects that are held. */
export interface Holding<Held extends Watched> {
  /** Leaves out of an object what need not be held; its name and namespace stay. */
  readonly reduce?: (object: Held) => Held;
  /** Told of every change of what is held; undefined stands for an object that isn't held. */
  readonly changed?: (before: Held | undefined, after: Held | undefined) => void;
}

/** The objects of a collection, by "namespace/name", or by name where they are in no namespace. */
export class HeldObjects<Held extends Watched> {
  readonly #holding: Holding<Held>;
  #objects = new Map<string, Held>();

  constructor(holding: Holding<Held>) {
    this.#holding = holding;
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): Held | undefined {
    return this.#objects.get(key);
  }

  all(): Iterable<Held> {
    return this.#objects.values();
  }

  set(object: Held): void {
    const key = keyOf(object);
    const before = this.#objects.get(key);
    const after = this.#reduced(object);
    this.#objects.set(key, after);
    this.#holding.changed?.(before, after);
  }

  delete(object: Held): void {
    const key = keyOf(object);
    const before = this.#objects.get(key);
    if (this.#objects.delete(key)) this.#holding.changed?.(before, undefined);
  }

  /** Adds objects to a list that is to replace what is held. */
  collect(objects: readonly Held[], list: Map<string, Held>): void {
    for (const object of objects) list.set(keyOf(object), this.#reduced(object));
  }

  replace(list: Map<string, Held>): void {
    const before = this.#objects;
    this.#objects = list;
    const { changed } = this.#holding;
    if (changed === undefined) return;
    for (const [key, object] of list) changed(before.get(key), object);
    for (const [key, object] of before) if (!list.has(key)) changed(object, undefined);
  }

  #reduced(object: Held): Held {
    return this.#holding.reduce?.(object) ?? object;
  }
}

/** What tells an object from all others of its collection: a namespace's name has no "/". */
export function keyOf({ namespace, name }: Watched): string {
  return namespace === "" ? name : `${namespace}/${name}`;
}
