import { functionText } from "./defined-types.ts";
import type { ValueType } from "./value-types.ts";

const letters: Readonly<Record<string, ValueType>> = { i: "i32", I: "i64", f: "f32", F: "f64" };

/** There are few, and each stands in many places. */
const texts = new Map<string, string>();

/** The text of a function type written in letters: "iI:i" is "(i32, i64) -> i32". */
export function signatureText(signature: string): string {
  const known = texts.get(signature);
  if (known !== undefined) return known;
  const [parameters = "", results = ""] = signature.split(":");
  const text = functionText([...parameters].map(valueType), [...results].map(valueType));
  texts.set(signature, text);
  return text;
}

function valueType(letter: string): ValueType {
  const type = letters[letter];
  if (type === undefined) throw new TypeError(`"${letter}" is no letter of a value type`);
  return type;
}
