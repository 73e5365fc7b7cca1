import type { MemoryType, ModuleContents } from "./contents.ts";
import type { Problem } from "./problem.ts";

/** In pages of 64 KiB: 1 GiB, to which Envoy limits its engine (`--wasm_max_mem_pages`). */
const largestMemory = 16_384;

/** In pages: what 32 bits can address. V8 refuses a larger maximum, even though it is never reached. */
const largestMaximum = 65_536;

/** In elements: V8's own limit. */
const largestTable = 10_000_000;

/** What is wrong with a module's memory and tables. */
export function* memoryProblems(contents: ModuleContents): Generator<Problem> {
  const { memories } = contents;
  const [memory] = memories;
  if (memory === undefined) {
    yield {
      code: "NoMemory",
      message: "the module has no memory; Envoy crashes on its first host call. It must export (or import) one",
    };
  } else if (memories.length > 1) {
    yield {
      code: "ManyMemories",
      message: `the module has ${memories.length} memories, and Envoy does not know which one its pointers mean; it must have exactly one`,
    };
  } else if (!isReachable(contents)) {
    yield {
      code: "NoMemory",
      message: "the module neither exports nor imports its memory; Envoy crashes on its first host call. Export it",
    };
  }
  for (const each of memories) yield* sizeProblems(each);
  yield* tableProblems(contents);
}

function isReachable(contents: ModuleContents): boolean {
  return [...contents.imports, ...contents.exports].some(({ external }) => external.kind === "memory");
}

function* sizeProblems(memory: MemoryType): Generator<Problem> {
  if (memory.memory64)
    yield { code: "Memory64", message: "the memory has 64-bit addresses; Envoy's functions take 32-bit pointers only" };
  if (memory.shared)
    yield {
      code: "SharedMemory",
      message:
        "the memory is shared between threads; Envoy gives each thread a VM of its own and supports unshared memory only",
    };
  if (memory.initialPages > largestMemory)
    yield {
      code: "MemoryTooLarge",
      message: `the memory starts with ${memory.initialPages} pages of 64 KiB; Envoy gives at most ${largestMemory} (1 GiB)`,
    };
  if (!memory.memory64 && memory.maximumPages !== null && memory.maximumPages > largestMaximum)
    yield {
      code: "MemoryTooLarge",
      message: `the memory's maximum is ${memory.maximumPages} pages of 64 KiB; 32-bit addresses reach ${largestMaximum} (4 GiB)`,
    };
}

function* tableProblems(contents: ModuleContents): Generator<Problem> {
  for (const table of contents.tables)
    if (table.initial > largestTable) {
      yield {
        code: "TableTooLarge",
        message: `a table starts with ${table.initial} elements; Envoy's engine makes at most ${largestTable}`,
      };
      return;
    }
}
