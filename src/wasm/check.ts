import type { AbiVersion } from "./abi-version.ts";
import type { ExternalKind, ExternalType, ModuleContents } from "./contents.ts";
import { type EnvoyVersion, parseEnvoyVersion } from "./envoy-version.ts";
import type { WasmError } from "./error.ts";
import { declaredAbi, exportProblems } from "./export-rules.ts";
import { foreignTypeProblems } from "./foreign-types.ts";
import { importProblems } from "./import-rules.ts";
import { memoryProblems } from "./memory-rules.ts";
import type { ModuleSource } from "./module-source.ts";
import { parseModule } from "./parse.ts";
import type { Problem } from "./problem.ts";
import { quote } from "./quote.ts";

export interface ReportedImport {
  readonly module: string;
  readonly name: string;
  readonly kind: ExternalKind;
  /** Of a function or tag: "(i32, i32) -> i32". Of a table or global: its element or value type. */
  readonly type?: string;
}

export interface ReportedExport {
  readonly name: string;
  readonly kind: ExternalKind;
  readonly type?: string;
}

/** The module's first memory. */
export interface ReportedMemory {
  /** In pages of 64 KiB. */
  readonly initialPages: number;
  readonly maximumPages: number | null;
  readonly shared: boolean;
  readonly memory64: boolean;
  readonly imported: boolean;
}

/** What a module is, and every reason why Envoy would not run it. */
export interface ModuleReport {
  /** In bytes. */
  readonly size: number;
  /** The Proxy-Wasm ABI that the module declares; null for none. */
  readonly abi: AbiVersion | null;
  readonly imports: readonly ReportedImport[];
  readonly exports: readonly ReportedExport[];
  readonly memory: ReportedMemory | null;
  /** Sizes in bytes, without the name. */
  readonly customSections: readonly { readonly name: string; readonly size: number }[];
  /** In the order of the rules; at most 100. */
  readonly problems: readonly Problem[];
  /** Whether there are no problems. */
  readonly ok: boolean;
}

export interface CheckOptions {
  /** The release of Envoy that is to run the module, such as "1.40" or "v1.40.2". */
  readonly envoyVersion: string;
}

const mostProblems = 100;

/**
 * Reads a module and says whether Envoy will link and start it, as far as that can be told without compiling it:
 * what is inside function bodies, data and element segments is left to Envoy's engine. Nothing of the module is
 * compiled or run. A module that can't be read to its end is reported with what came before the error.
 * @throws WasmError `EnvoyVersion` for a version that is none; the source's own errors.
 */
export function checkModule(source: ModuleSource, options: CheckOptions): ModuleReport {
  const envoy = parseEnvoyVersion(options.envoyVersion);
  const { contents, failure } = parseModule(source);
  const abi = declaredAbi(contents.exports);
  const problems = cut(failure ? unreadable(failure, contents) : everyProblem(contents, abi, envoy));
  return {
    size: source.size,
    abi,
    imports: contents.imports.map(({ module, name, external }) => ({ module, name, ...reported(external) })),
    exports: contents.exports.map(({ name, external }) => ({ name, ...reported(external) })),
    memory: reportedMemory(contents),
    customSections: contents.customSections.map(({ name, size }) => ({ name, size })),
    problems,
    ok: problems.length === 0,
  };
}

function* everyProblem(contents: ModuleContents, abi: AbiVersion | null, envoy: EnvoyVersion): Generator<Problem> {
  yield* exportProblems(contents, abi, envoy);
  yield* importProblems(contents, abi, envoy);
  yield* memoryProblems(contents);
  yield* foreignTypeProblems(contents);
  yield* precompiledProblems(contents);
}

function* unreadable(failure: WasmError, contents: ModuleContents): Generator<Problem> {
  const { code, message, offset } = failure;
  if (code === "EnvoyVersion") throw failure;
  yield { code, message, ...(offset === null ? {} : { offset }) };
  yield* precompiledProblems(contents);
}

/**
 * Envoy drops such sections unless `allow_precompiled` is set, and then runs them as they are: native code that
 * nothing has verified. Envoy looks for the word anywhere in the name.
 */
function* precompiledProblems(contents: ModuleContents): Generator<Problem> {
  for (const { name, offset } of contents.customSections)
    if (name.includes("precompiled_"))
      yield {
        code: "Precompiled",
        message: `the custom section ${quote(name)} holds native code, which nothing verifies; ship the module without it`,
        offset,
      };
}

/** The first problems. What comes after them is not even looked for, for a hostile module has any number. */
function cut(problems: Iterable<Problem>): Problem[] {
  const listed: Problem[] = [];
  for (const problem of problems) {
    if (listed.length === mostProblems - 1)
      return [...listed, { code: "MoreProblems", message: `there are more problems than these ${listed.length}` }];
    listed.push(problem);
  }
  return listed;
}

function reported(external: ExternalType): { kind: ExternalKind; type?: string } {
  switch (external.kind) {
    case "function":
    case "tag":
      return { kind: external.kind, type: external.type.text };
    case "table":
      return { kind: "table", type: external.type.element };
    case "global":
      return { kind: "global", type: external.type.type };
    case "memory":
      return { kind: "memory" };
  }
}

function reportedMemory(contents: ModuleContents): ReportedMemory | null {
  const [memory] = contents.memories;
  if (!memory) return null;
  const { initialPages, maximumPages, shared, memory64 } = memory;
  const imported = contents.imports.some(({ external }) => external.kind === "memory");
  return { initialPages, maximumPages, shared, memory64, imported };
}
