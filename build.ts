import { rm } from "node:fs/promises";
import { build } from "esbuild";

/** Bundles the command line into one file, dist/wasmount.mjs: what the image runs. */
await rm("dist", { recursive: true, force: true });
await build({
  entryPoints: ["src/cli/main.ts"],
  outfile: "dist/wasmount.mjs",
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
