import { type AbiVersion, abiMarkers } from "./abi-version.ts";
import type { ModuleContents, ModuleExport } from "./contents.ts";
import type { EnvoyVersion } from "./envoy-version.ts";
import { expectedExports } from "./module-functions.ts";
import type { Problem } from "./problem.ts";
import { visible } from "./quote.ts";

/**
 * The ABI version that a module declares: that of the first exported function, in the order of the export section,
 * whose name is a marker. Its type doesn't matter.
 */
export function declaredAbi(exports: readonly ModuleExport[]): AbiVersion | null {
  for (const { name, external } of exports) {
    const abi = external.kind === "function" ? abiMarkers.get(name) : undefined;
    if (abi !== undefined) return abi;
  }
  return null;
}

/** What is wrong with the exports that Envoy looks for. Source: proxy-wasm-cpp-host, WasmBase::getFunctions. */
export function* exportProblems(
  contents: ModuleContents,
  abi: AbiVersion | null,
  envoy: EnvoyVersion,
): Generator<Problem> {
  const functions = contents.exports.filter(({ external }) => external.kind === "function");
  const names = new Set(functions.map(({ name }) => name));
  if (abi === null) yield { code: "NoAbi", message: noAbiMessage(contents.exports) };
  if (!names.has("malloc") && !names.has("proxy_on_memory_allocate"))
    yield {
      code: "NoMalloc",
      message:
        "the module exports neither malloc nor proxy_on_memory_allocate, as (i32) -> i32; Envoy needs one of them",
    };
  const expected = expectedExports(names, abi, envoy);
  for (const { name, external, offset } of functions) {
    const type = expected.get(name);
    if (type === undefined || external.kind !== "function" || external.type.text === type) continue;
    yield {
      code: "ExportType",
      message: `the module exports ${name} as ${external.type.text}; Envoy calls it as ${type}${abi === null ? "" : ` (ABI ${abi})`}`,
      offset,
    };
  }
}

function noAbiMessage(exports: readonly ModuleExport[]): string {
  const supported = `Envoy runs ${[...abiMarkers.values()].join(", ")}, declared by an exported function such as proxy_abi_version_0_2_1`;
  const other = exports.find(({ name }) => name.startsWith("proxy_abi_version_"));
  if (other === undefined) return `the module declares no Proxy-Wasm ABI version; ${supported}`;
  if (abiMarkers.has(other.name))
    return `the module exports ${other.name} as a ${other.external.kind}; it must be a function. ${supported}`;
  return `the module declares its ABI as ${visible(other.name)}; ${supported}`;
}
