import { functionText } from "./defined-types.ts";
import type { ValueType } from "./value-types.ts";

const letters: Readonly<Record<string, ValueType>> = { i: "i32", I: "i64", f: "f32", F: "f64" };

/** The text of a function type written in letters: "iI:i" is "(i32, i64) -> i32". */
export function signatureText(signature: string): string {
  const [parameters = "", results = ""] = signature.split(":");
  return functionText([...parameters].map(valueType), [...results].map(valueType));
}

function valueType(letter: string): ValueType {
  const type = letters[letter];
  if (type === undefined) throw new TypeError(`"${letter}" is no letter of a value type`);
  return type;
}
