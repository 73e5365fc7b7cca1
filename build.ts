import { rm } from "node:fs/promises";
import { bundlePrograms, compile } from "./bundle.ts";

/** Docker's names of machines, as Node calls them. */
const MACHINES: Readonly<Record<string, string>> = { amd64: "x64", arm64: "arm64" };

/**
 * Writes what images run to dist/: its entry is dist/wasmount.mjs. `node build.ts amd64` is for that machine: on another
 * one there is no compiled code, which is of the Node that compiled it, and the fetcher does without.
 */
const [, , target] = process.argv;
await rm("dist", { recursive: true, force: true });
const { fetcher } = await bundlePrograms("dist");
if (!target || MACHINES[target] === process.arch) await compile(fetcher);
