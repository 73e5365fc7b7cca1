import { readFile, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { spawnChecked } from "./spawn.ts";

const folder = new URL("../../manifests/examples/response-headers/", import.meta.url);

/** Builds the example filter from its source. @returns the module's bytes. */
export async function buildExampleFilter(output: string): Promise<Buffer> {
  const compiler = createRequire(import.meta.url).resolve("assemblyscript/bin/asc.js");
  const args = [compiler, "--config", "asconfig.json", "--path", "../../../node_modules", "-o", output];
  await spawnChecked(process.execPath, args, { cwd: fileURLToPath(folder) });
  if ((await stat(output)).size === 0) throw new Error(`${output} is empty`);
  return readFile(output);
}

/** The text of one of the example's manifests. */
export function exampleManifest(name: "namespace" | "configmap" | "pod"): Promise<string> {
  return readFile(new URL(`${name}.yaml`, folder), "utf8");
}
