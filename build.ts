import { rm } from "node:fs/promises";
import { bundle } from "./bundle.ts";

/** Bundles the command line into one file, dist/wasmount.mjs: what the image runs. */
await rm("dist", { recursive: true, force: true });
await bundle("src/cli/main.ts", "dist/wasmount.mjs");
