import type { Script } from "node:vm";

// An import makes Node load what it would load late, to have names for all that a module exports.
const { readFileSync } = process.getBuiltinModule("node:fs");
const vm = process.getBuiltinModule("node:vm");

/** What became of the code that was compiled before: V8 takes none of another version, other flags or another source. */
export type Compiled = "used" | "rejected" | "absent";

export interface LoadedScript<Exports> {
  readonly exported: Exports;
  readonly compiled: Compiled;
  readonly script: Script;
}

/**
 * Runs a CommonJS script, with V8's compiled code of it where that lies beside it. Node's own compile cache would do, but
 * its folder belongs to one user and is written at run time: an init container has a user of the pod's choice and a
 * read-only root.
 *
 * Compiled code is trusted as the script itself is. Without it, or where V8 rejects it, the script is compiled as always.
 * @param path of a script in ASCII that requires Node's own modules and no others
 */
export function loadScript<Exports>(path: string): LoadedScript<Exports> {
  const cachedData = read(compiledPath(path));
  // One byte a character, as ASCII is: half the memory, and nothing to decode.
  const source = `(function (exports, require, module) {${readFileSync(path, "latin1")}\n})`;
  const script = new vm.Script(source, { filename: path, ...(cachedData && { cachedData }) });
  const module = { exports: {} };
  script.runInThisContext()(module.exports, process.getBuiltinModule, module);
  const compiled = cachedData === null ? "absent" : script.cachedDataRejected ? "rejected" : "used";
  return { exported: module.exports as Exports, compiled, script };
}

/** Compiled code is of one Node on one kind of machine: an image for another finds none. */
export function compiledPath(path: string): string {
  return `${path}.${process.version}-${process.arch}.cache`;
}

function read(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch {
    return null;
  }
}
