import type { WasmErrorCode } from "./error.ts";

/**
 * Why a module is refused:
 * - the codes of `WasmError`: it could not be read to its end
 * - `NoAbi`: no export declares a Proxy-Wasm ABI version that Envoy runs
 * - `UnknownImport`: a function that no Envoy has
 * - `ImportNeedsEnvoy`: a function that only newer Envoys have
 * - `ImportNeedsAbi`: a function of another ABI version than the module's
 * - `ImportType`: a host function under another type
 * - `GlobalImport`, `TagImport`: Envoy has none to give
 * - `TableImport`: a table that Envoy can't make
 * - `ExportType`: a function that Envoy calls has another type
 * - `NoMalloc`: nothing allocates memory for what Envoy hands over
 * - `NoMemory`, `ManyMemories`, `Memory64`, `SharedMemory`, `MemoryTooLarge`: not one exported or imported,
 *   unshared, 32-bit memory of a size that the engine gives
 * - `TableTooLarge`: a table that the engine doesn't make
 * - `ForeignType`: an import or export whose type Envoy's interface to its engine has no word for
 * - `Precompiled`: the module carries native code
 * - `MoreProblems`: the list was cut
 */
export type ProblemCode =
  | Exclude<WasmErrorCode, "EnvoyVersion">
  | "NoAbi"
  | "UnknownImport"
  | "ImportNeedsEnvoy"
  | "ImportNeedsAbi"
  | "ImportType"
  | "GlobalImport"
  | "TagImport"
  | "TableImport"
  | "ExportType"
  | "NoMalloc"
  | "NoMemory"
  | "ManyMemories"
  | "Memory64"
  | "SharedMemory"
  | "MemoryTooLarge"
  | "TableTooLarge"
  | "ForeignType"
  | "Precompiled"
  | "MoreProblems";

/** One reason to refuse a module: what was found and what is supported. */
export interface Problem {
  readonly code: ProblemCode;
  readonly message: string;
  /** Of what the problem is about, in bytes from the module's start, where it has one place. */
  readonly offset?: number;
}
