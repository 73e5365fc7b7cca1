import { join } from "node:path";
import { build } from "esbuild";

/** Bundles a program and all its dependencies into one file, as the image runs it. */
export async function bundle(entry: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    legalComments: "linked",
    // Dependencies in CommonJS still call require for Node's own modules.
    banner: {
      js: 'import { createRequire as wasmountCreateRequire } from "node:module"; const require = wasmountCreateRequire(import.meta.url);',
    },
  });
}

/** wasmount as images run it. @returns the path of its entry */
export async function bundledProgram(folder: string): Promise<string> {
  const entry = join(folder, "wasmount.mjs");
  await bundle("src/cli/main.ts", entry);
  return entry;
}
