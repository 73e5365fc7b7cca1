import { type BigIntStats, fstatSync, lstatSync } from "node:fs";

/**
 * What changes with every change of a file: nobody writes to it, cuts it, links it, gives it another mode or puts
 * another file in its place without one of these numbers being another one. The time of the last change can't be set,
 * only the system's clock can, in steps of a few milliseconds.
 */
export interface FileState {
  readonly device: bigint;
  readonly inode: bigint;
  readonly mode: bigint;
  readonly links: bigint;
  readonly size: bigint;
  /** In nanoseconds, as `modified`. */
  readonly changed: bigint;
  readonly modified: bigint;
}

export function stateOfOpen(descriptor: number): FileState {
  return stateFrom(fstatSync(descriptor, { bigint: true }));
}

/** The state of what has a name now, or null where nothing has. Links are not followed. */
export function stateOfNamed(path: string): FileState | null {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? null : stateFrom(found);
}

export function isSameState(one: FileState, other: FileState | null): boolean {
  return other !== null && (Object.keys(one) as (keyof FileState)[]).every(key => one[key] === other[key]);
}

function stateFrom({ dev, ino, mode, nlink, size, ctimeNs, mtimeNs }: BigIntStats): FileState {
  return { device: dev, inode: ino, mode, links: nlink, size, changed: ctimeNs, modified: mtimeNs };
}
