import type { ExternalType, ModuleContents } from "./contents.ts";
import type { Problem } from "./problem.ts";
import { quote } from "./quote.ts";
import { canCross, type ValueType } from "./value-types.ts";

/**
 * Imports and exports whose types Envoy's interface to its engine (the wasm C API) has no word for. Whatever Envoy
 * would do with them, listing them ends its process, also when a running Envoy loads the module later.
 */
export function* foreignTypeProblems(contents: ModuleContents): Generator<Problem> {
  for (const { module, name, external, offset } of contents.imports)
    yield* problem("imports", `${quote(module)} ${quote(name)}`, external, offset);
  for (const { name, external, offset } of contents.exports) yield* problem("exports", quote(name), external, offset);
}

function* problem(
  verb: "imports" | "exports",
  name: string,
  external: ExternalType,
  offset: number,
): Generator<Problem> {
  if (external.kind === "tag") {
    if (verb === "imports") return;
    yield { code: "ForeignType", message: `the module exports the exception tag ${name}; Envoy aborts on it`, offset };
    return;
  }
  const foreign = foreignType(external);
  if (foreign === null) return;
  yield {
    code: "ForeignType",
    message: `the module ${verb} the ${external.kind} ${name} with the type ${foreign}; Envoy aborts on any but i32, i64, f32, f64, funcref and externref`,
    offset,
  };
}

function foreignType(external: Exclude<ExternalType, { readonly kind: "tag" }>): ValueType | null {
  switch (external.kind) {
    case "function":
      return external.type.foreign;
    case "table":
      return canCross(external.type.element) ? null : external.type.element;
    case "global":
      return canCross(external.type.type) ? null : external.type.type;
    case "memory":
      return null;
  }
}
