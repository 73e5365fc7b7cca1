import { distance } from "fastest-levenshtein";
import type { AbiVersion } from "./abi-version.ts";
import type { ModuleContents, ModuleImport, TableType } from "./contents.ts";
import type { FunctionType } from "./defined-types.ts";
import { type EnvoyVersion, formatEnvoyVersion, isBefore } from "./envoy-version.ts";
import { type HostFunction, hostFunctions, hostModules } from "./host-functions.ts";
import type { Problem } from "./problem.ts";
import { quote, visible } from "./quote.ts";
import { canCross } from "./value-types.ts";

/** What Envoy can't give a module of all it imports. Source: proxy-wasm-cpp-host, V8::link. */
export function* importProblems(
  contents: ModuleContents,
  abi: AbiVersion | null,
  envoy: EnvoyVersion,
): Generator<Problem> {
  let tables = 0;
  for (const entry of contents.imports) {
    const { external } = entry;
    const name = fullName(entry);
    switch (external.kind) {
      case "function":
        yield* functionProblems(entry, external.type, abi, envoy);
        break;
      case "table":
        tables += 1;
        yield* tableProblems(entry, external.type, tables);
        break;
      case "global":
        yield {
          code: "GlobalImport",
          message: `the module imports the global ${name} (${external.type.type}); Envoy gives functions, one memory and one table only`,
          offset: entry.offset,
        };
        break;
      case "tag":
        yield {
          code: "TagImport",
          message: `the module imports the exception tag ${name}; Envoy has none and aborts`,
          offset: entry.offset,
        };
        break;
      case "memory":
        break;
    }
  }
}

function* functionProblems(
  entry: ModuleImport,
  type: FunctionType,
  abi: AbiVersion | null,
  envoy: EnvoyVersion,
): Generator<Problem> {
  const { offset } = entry;
  const name = fullName(entry);
  const known = hostFunctions.get(entry.module)?.get(entry.name);
  if (!known) {
    yield { code: "UnknownImport", message: `no Envoy has the function ${name}${nearest(entry)}`, offset };
    return;
  }
  if (known.since !== null && isBefore(envoy, known.since))
    yield {
      code: "ImportNeedsEnvoy",
      message: `the module imports ${name}, which Envoy has from ${formatEnvoyVersion(known.since)} on; this check is for Envoy ${formatEnvoyVersion(envoy)}`,
      offset,
    };
  if (known.abis !== null && abi !== null && !known.abis.includes(abi))
    yield {
      code: "ImportNeedsAbi",
      message: `the module imports ${name}, which belongs to ABI ${known.abis.join(" and ")}; the module declares ABI ${abi}`,
      offset,
    };
  if (known.type !== type.text || !type.plain)
    yield { code: "ImportType", message: typeMessage(name, type, known), offset };
}

function typeMessage(name: string, found: FunctionType, known: HostFunction): string {
  if (known.type === found.text)
    return `the module imports ${name} under a type that is open to subtypes or in a recursion group with others; Envoy has it as plain ${known.type}`;
  return `the module imports ${name} as ${found.text}; Envoy has it as ${known.type}`;
}

/** Envoy makes a table for an import, of functions or of host references, and one only. */
function* tableProblems(entry: ModuleImport, type: TableType, count: number): Generator<Problem> {
  const { offset } = entry;
  const name = fullName(entry);
  if (count > 1)
    yield { code: "TableImport", message: `the module imports a second table, ${name}; Envoy gives one only`, offset };
  if (type.table64)
    yield {
      code: "TableImport",
      message: `the module imports the table ${name} with 64-bit indexes; Envoy gives 32-bit tables only`,
      offset,
    };
  if (canCross(type.element) && !type.element.startsWith("(ref null "))
    yield {
      code: "TableImport",
      message: `the module imports the table ${name} of ${type.element}; Envoy gives tables of nullable references only`,
      offset,
    };
}

function fullName(entry: ModuleImport): string {
  return `${visible(entry.module)}.${visible(entry.name)}`;
}

/** Longer names aren't compared: comparing costs the product of both lengths. */
const longestCompared = 64;

function nearest(entry: ModuleImport): string {
  const functions = hostFunctions.get(entry.module);
  if (!functions)
    return `: it has no module ${quote(entry.module)}, only ${hostModules.join(", ")}${elsewhere(entry.name)}`;
  if (entry.name.length > longestCompared) return "";
  let best: { name: string; distance: number } | null = null;
  for (const name of functions.keys()) {
    const steps = distance(entry.name, name);
    if (best === null || steps < best.distance) best = { name, distance: steps };
  }
  if (best === null || best.distance > Math.max(2, entry.name.length / 4)) return elsewhere(entry.name);
  return `; did you mean ${best.name}?`;
}

function elsewhere(name: string): string {
  const module = hostModules.find(candidate => hostFunctions.get(candidate)?.has(name));
  return module === undefined ? "" : `; the function of that name is in ${module}`;
}
