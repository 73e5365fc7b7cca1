import { attempt } from "../cluster/command.ts";
import type { ImageEntry } from "./layer.ts";

/**
 * A binary of this machine with the shared libraries and the loader that it needs here, each at its own path, the
 * binary itself at `destination`. A static binary comes alone.
 * @throws Error where a library is missing.
 */
export async function binaryWithLibraries(binary: string, destination: string): Promise<readonly ImageEntry[]> {
  const result = await attempt("ldd", [binary]);
  const libraries = result.status === 0 ? parseLibraries(result.stdout, binary) : [];
  if (result.status !== 0 && !/not a dynamic executable|statically linked/.test(result.stdout + result.stderr)) {
    throw new Error(`ldd ${binary} failed (${result.status}): ${result.stderr.trim()}`);
  }
  return [executable(destination, binary), ...libraries.map(path => executable(path, path))];
}

/** The paths in what ldd prints: `name => /path (address)`, and the loader as `/path (address)`. */
export function parseLibraries(output: string, binary: string): readonly string[] {
  const paths = new Set<string>();
  for (const line of output.split("\n")) {
    const missing = /^\s*(\S+) => not found/.exec(line);
    if (missing) throw new Error(`${binary} needs ${missing[1]}, which this machine lacks`);
    const path = /(?:=>|^)\s+(\/\S+) \(0x/.exec(line)?.[1];
    if (path) paths.add(path);
  }
  return [...paths];
}

function executable(path: string, source: string): ImageEntry {
  return { kind: "file", path, mode: 0o755, source: { path: source } };
}
