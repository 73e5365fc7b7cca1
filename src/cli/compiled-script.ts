import type { Script } from "node:vm";

// An import makes Node load what it would load late, to have names for all that a module exports.
const { readFileSync } = process.getBuiltinModule("node:fs");
const vm = process.getBuiltinModule("node:vm");

/** What became of the code that was compiled before: V8 takes none of another version, other flags or another source. */
export type Compiled = "used" | "rejected" | "absent";

export interface LoadedScript<Exports> {
  readonly exported: Exports;
  readonly compiled: Compiled;
  /** By path: this one, and those that it has required so far. */
  readonly scripts: ReadonlyMap<string, Script>;
}

type Factory = (exports: object, require: (id: string) => unknown, module: { readonly exports: object }) => void;

/**
 * Runs a CommonJS script and those beside it that it requires, with V8's compiled code of each where that lies beside it.
 * Node's own compile cache would do, but its folder belongs to one user and is written at run time: an init container has
 * a user of the pod's choice and a read-only root.
 *
 * Compiled code is trusted as the script itself is. Without it, or where V8 rejects it, the script is compiled as always.
 * @param path of a script in ASCII that requires Node's own modules, "./<script>.cjs" and no others. By `require.define` it
 *   holds such scripts itself
 */
export function loadScript<Exports>(path: string): LoadedScript<Exports> {
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  const modules = new Map<string, { exports: unknown }>();
  const scripts = new Map<string, Script>();
  const defined = new Map<string, Factory>();
  const required = (id: string) => (id.startsWith("./") ? load(folder + id.slice(2)) : process.getBuiltinModule(id));
  required.define = (id: string, factory: Factory) => defined.set(folder + id.slice(2), factory);
  const load = (file: string): unknown => {
    const known = modules.get(file);
    if (known !== undefined) return known.exports;
    const module = { exports: {} };
    modules.set(file, module);
    const factory = defined.get(file) ?? scripted(file);
    factory(module.exports, required, module);
    return module.exports;
  };
  const scripted = (file: string): Factory => {
    const script = scriptOf(file);
    scripts.set(file, script);
    return script.runInThisContext();
  };
  const exported = load(path) as Exports;
  return { exported, compiled: stateOf(scripts.get(path)), scripts };
}

/** Compiled code is of one Node on one kind of machine: an image for another finds none. */
export function compiledPath(path: string): string {
  return `${path}.${process.version}-${process.arch}.cache`;
}

function scriptOf(path: string): Script {
  const cachedData = read(compiledPath(path));
  // One byte a character, as ASCII is: half the memory, and nothing to decode.
  const source = `(function (exports, require, module) {${readFileSync(path, "latin1")}\n})`;
  return new vm.Script(source, { filename: path, ...(cachedData && { cachedData }) });
}

/** Node says nothing of compiled code that it was not given. */
function stateOf(script: Script | undefined): Compiled {
  if (script?.cachedDataRejected === undefined) return "absent";
  return script.cachedDataRejected ? "rejected" : "used";
}

function read(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch {
    return null;
  }
}
