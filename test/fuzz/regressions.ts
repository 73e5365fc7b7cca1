import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = join(import.meta.dirname, "regressions");

/** Inputs that once were more than a reader could take, by target; the unit tests read them each time. */
export function regressionsOf(target: string): readonly { readonly name: string; readonly input: Buffer }[] {
  const folder = join(FOLDER, target);
  if (!existsSync(folder)) return [];
  return readdirSync(folder).map(name => ({ name, input: readFileSync(join(folder, name)) }));
}

/** @returns where the input was written to */
export function keepRegression(target: string, input: Buffer): string {
  const folder = join(FOLDER, target);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, createHash("sha256").update(input).digest("hex").slice(0, 12));
  writeFileSync(file, input);
  return file;
}
