import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join, posix } from "node:path";
import { bootstrapFormat, editBootstrap } from "../envoy/bootstrap.ts";
import { messageOf } from "../error.ts";
import { isWithin } from "../kube/mount.ts";
import type { Plan, PlanBootstrap } from "../plan/plan.ts";
import { FetchError } from "./error.ts";
import type { Volume } from "./volume.ts";

/** More than a ConfigMap can hold; a larger folder is not a configuration. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;
const MAX_COPIES = 256;

/**
 * Writes the edited copy of the author's Envoy configuration.
 * @returns the HTTP connection managers that were edited, for the log.
 */
export async function writeBootstrap(plan: Plan, bootstrap: PlanBootstrap, volume: Volume): Promise<readonly string[]> {
  const text = await readSource(bootstrap.source);
  const edited = editBootstrap(text, {
    format: bootstrapFormat(bootstrap.target),
    entries: plan.filters.map(({ slot, phase }) => ({ slot, phase })),
    root: plan.root,
    // Envoy subscribes to filter files only where the node has both. A pod's hostname is its name.
    node: { id: hostname(), cluster: plan.namespace },
  });
  await volume.write(bootstrap.target, edited.text);
  if (bootstrap.copy) await copyRest(bootstrap.copy, bootstrap.source, volume);
  return edited.managers;
}

async function readSource(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) throw new Error(`it has ${size} bytes, at most ${MAX_FILE_BYTES} are read`);
    const bytes = await readFile(path);
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new FetchError("NoBootstrap", `can't read the Envoy configuration ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Copies the other files of a mount, through the links that ConfigMap volumes are made of, never out of the mount. */
async function copyRest({ from, to }: { from: string; to: string }, source: string, volume: Volume): Promise<void> {
  const top = await realpath(from);
  const names = (await readdir(from)).filter(name => !name.startsWith(".."));
  if (names.length > MAX_COPIES) {
    throw new FetchError("NoBootstrap", `${from} holds ${names.length} files, at most ${MAX_COPIES} are copied`);
  }
  for (const name of names) {
    const path = join(from, name);
    if (path === source) continue;
    const real = await realpath(path);
    const found = await stat(real);
    if (!found.isFile() || !isWithin(real, top)) {
      throw new FetchError(
        "NoBootstrap",
        `${path} is not a plain file of the mount: name the configuration with -c in args, so that the mount can stay`,
      );
    }
    if (found.size > MAX_FILE_BYTES)
      throw new FetchError("NoBootstrap", `${path} is larger than ${MAX_FILE_BYTES} bytes`);
    await volume.write(posix.join(to, name), await readFile(real));
  }
}
