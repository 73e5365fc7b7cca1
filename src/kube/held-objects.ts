import type { ObjectMetadata } from "./object-metadata.ts";

/** What is done with objects that are held. */
export interface Holding {
  /** Leaves out of an object what need not be held; its name and namespace stay. */
  readonly reduce?: (object: ObjectMetadata) => ObjectMetadata;
  /** Told of every change of what is held; undefined stands for an object that isn't held. */
  readonly changed?: (before: ObjectMetadata | undefined, after: ObjectMetadata | undefined) => void;
}

/** The objects of a collection, by "namespace/name", or by name where they are in no namespace. */
export class HeldObjects {
  readonly #holding: Holding;
  #objects = new Map<string, ObjectMetadata>();

  constructor(holding: Holding) {
    this.#holding = holding;
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): ObjectMetadata | undefined {
    return this.#objects.get(key);
  }

  set(object: ObjectMetadata): void {
    const key = keyOf(object);
    const before = this.#objects.get(key);
    const after = this.#reduced(object);
    this.#objects.set(key, after);
    this.#holding.changed?.(before, after);
  }

  delete(object: ObjectMetadata): void {
    const key = keyOf(object);
    const before = this.#objects.get(key);
    if (this.#objects.delete(key)) this.#holding.changed?.(before, undefined);
  }

  /** Adds objects to a list that is to replace what is held. */
  collect(objects: readonly ObjectMetadata[], list: Map<string, ObjectMetadata>): void {
    for (const object of objects) list.set(keyOf(object), this.#reduced(object));
  }

  replace(list: Map<string, ObjectMetadata>): void {
    const before = this.#objects;
    this.#objects = list;
    const { changed } = this.#holding;
    if (changed === undefined) return;
    for (const [key, object] of list) changed(before.get(key), object);
    for (const [key, object] of before) if (!list.has(key)) changed(object, undefined);
  }

  #reduced(object: ObjectMetadata): ObjectMetadata {
    return this.#holding.reduce?.(object) ?? object;
  }
}

/** A namespace's name has no "/". */
function keyOf({ namespace, name }: ObjectMetadata): string {
  return namespace === "" ? name : `${namespace}/${name}`;
}
