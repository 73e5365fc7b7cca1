import { rm } from "node:fs/promises";
import { bundleImage } from "./bundle.ts";

/** Writes what images run to dist/: its entry is dist/wasmount.mjs. */
await rm("dist", { recursive: true, force: true });
await bundleImage("dist");
