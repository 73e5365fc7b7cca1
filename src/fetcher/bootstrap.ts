import { readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { bootstrapFormat, type EditedBootstrap, editBootstrap, MAX_BOOTSTRAP_LENGTH } from "../envoy/bootstrap.ts";
import { messageOf } from "../error.ts";
import type { Plan, PlanBootstrap } from "../plan/plan.ts";
import { FetchError } from "./error.ts";
import { copyMountedFiles } from "./mounted-files.ts";
import type { Volume } from "./volume.ts";

/** Writes the edited copy of the author's Envoy configuration, and returns what there is to say of it. */
export function writeBootstrap(
  plan: Plan,
  bootstrap: PlanBootstrap,
  volume: Volume,
): Pick<EditedBootstrap, "managers" | "adminPort"> {
  const text = readSource(bootstrap.source);
  const edited = editBootstrap(text, {
    format: bootstrapFormat(bootstrap.target),
    entries: plan.filters.map(({ slot, phase }) => ({ slot, phase })),
    root: plan.root,
    // Envoy subscribes to filter files only where the node has both. A pod's hostname is its name.
    node: { id: hostname(), cluster: plan.namespace },
  });
  volume.later(volume.write(bootstrap.target, edited.text));
  if (bootstrap.copy) copyMountedFiles(bootstrap.copy, bootstrap.source, volume);
  return edited;
}

function readSource(path: string): string {
  try {
    const { size } = statSync(path);
    if (size > MAX_BOOTSTRAP_LENGTH) throw new Error(`it has ${size} bytes, at most ${MAX_BOOTSTRAP_LENGTH} are read`);
    const bytes = readFileSync(path);
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new FetchError("NoBootstrap", `can't read the Envoy configuration ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
