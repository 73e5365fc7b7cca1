import { isObject } from "../admission/review-member.ts";
import type { Operation } from "../patch/operation.ts";

/** From a value that operations changed to the one that it was before. */
export type Origins = WeakMap<object, object>;

/**
 * A value with operations (RFC 6902) done to it. The value itself stays as it is, and all parts that no operation is
 * about are the same objects in both; the changed ones are noted in `origins`.
 * @throws TypeError for an operation on a place that is not there
 */
export function applied(value: unknown, operations: readonly Operation[], origins: Origins): unknown {
  return operations.reduce((result, operation) => {
    const tokens = operation.path.split("/").slice(1);
    return changed(result, tokens.map(unescaped), operation, origins);
  }, value);
}

function unescaped(token: string): string {
  return token.replaceAll("~1", "/").replaceAll("~0", "~");
}

function changed(value: unknown, path: readonly string[], operation: Operation, origins: Origins): unknown {
  const [token, ...rest] = path;
  if (token === undefined) return operation.op === "remove" ? undefined : operation.value;
  if (Array.isArray(value)) return noted(changedList(value, token, rest, operation, origins), value, origins);
  if (isObject(value)) return noted(changedMap(value, token, rest, operation, origins), value, origins);
  throw new TypeError(`${operation.op} ${operation.path}: there is nothing at "${token}"`);
}

function changedList(
  list: readonly unknown[],
  token: string,
  rest: readonly string[],
  operation: Operation,
  origins: Origins,
): unknown[] {
  const index = token === "-" ? list.length : Number(token);
  if (rest.length > 0) return list.with(index, changed(list[index], rest, operation, origins));
  switch (operation.op) {
    case "add":
      return list.toSpliced(index, 0, operation.value);
    case "replace":
      return list.with(index, operation.value);
    case "remove":
      return list.toSpliced(index, 1);
  }
}

function changedMap(
  map: Readonly<Record<string, unknown>>,
  token: string,
  rest: readonly string[],
  operation: Operation,
  origins: Origins,
): Record<string, unknown> {
  if (rest.length > 0) return { ...map, [token]: changed(map[token], rest, operation, origins) };
  if (operation.op !== "remove") return { ...map, [token]: operation.value };
  const { [token]: _removed, ...kept } = map;
  return kept;
}

function noted<Value extends object>(now: Value, before: object, origins: Origins): Value {
  origins.set(now, origins.get(before) ?? before);
  return now;
}
