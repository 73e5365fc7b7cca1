import { isDigest } from "../oci/digest.ts";
import { ImageReferenceError, parseReference } from "../oci/reference.ts";
import { PlanError } from "./error.ts";

// Readers of a parsed document's members. Each throws PlanError BadShape, naming the member.

export function object(value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw shape(path, "an object");
  return value as Record<string, unknown>;
}

export function list(value: unknown, path: string): unknown[] {
  if (!Array.isArray(value)) throw shape(path, "a list");
  return value;
}

export function text(value: unknown, path: string): string {
  if (typeof value !== "string") throw shape(path, "a string");
  return value;
}

export function pattern(value: unknown, expected: RegExp, path: string): string {
  const found = text(value, path);
  if (!expected.test(found)) throw shape(path, `text that matches ${expected.source}`);
  return found;
}

export function digest(value: unknown, path: string): string {
  if (!isDigest(value)) throw shape(path, 'a digest, "sha256:" and 64 lower-case hex digits');
  return value;
}

export function boolean(value: unknown, path: string): boolean {
  if (typeof value !== "boolean") throw shape(path, "true or false");
  return value;
}

export function count(value: unknown, path: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1) throw shape(path, "a positive integer");
  return value;
}

export function shape(path: string, expected: string): PlanError {
  return new PlanError("BadShape", `the plan's ${path} must be ${expected}`);
}

/** An object that has no other members than these. */
export function closed(value: unknown, path: string, names: readonly string[]): Record<string, unknown> {
  const found = object(value, path);
  const other = Object.keys(found).find(name => !names.includes(name));
  if (other !== undefined) throw shape(path, `an object without the member ${JSON.stringify(other.slice(0, 64))}`);
  return found;
}

export function choice<Choice extends string>(value: unknown, path: string, choices: readonly Choice[]): Choice {
  const found = choices.find(one => one === value);
  if (found === undefined) throw shape(path, `one of ${choices.join(", ")}`);
  return found;
}

/** A list of at least and at most so many elements. */
export function bounded(value: unknown, path: string, least: number, most: number): unknown[] {
  const found = list(value, path);
  if (found.length < least || found.length > most) throw shape(path, `a list of ${least} to ${most}`);
  return found;
}

/** Members of an object, at most so many. */
export function atMost<Member>(members: readonly Member[], path: string, most: number): readonly Member[] {
  if (members.length > most) throw shape(path, `an object of at most ${most} members`);
  return members;
}

/** Text of at most so many characters. */
export function short(value: unknown, path: string, most: number): string {
  const found = text(value, path);
  if (found.length > most) throw shape(path, `text of at most ${most} characters`);
  return found;
}

/** Text that is an image's reference. */
export function readReference(value: unknown, path: string): string {
  const found = text(value, path);
  try {
    parseReference(found);
    return found;
  } catch (error) {
    if (error instanceof ImageReferenceError) throw shape(path, "an image's reference");
    throw error;
  }
}
