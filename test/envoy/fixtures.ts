import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type BootstrapEdit, bootstrapFormat } from "../../src/envoy/bootstrap.ts";

const FOLDER = join(import.meta.dirname, "fixtures/bootstrap");

/** One bootstrap with what the editor makes of it: a `.out` beside it, or an `.error.txt`. */
export interface BootstrapFixture {
  /** "plain.yaml" for the files plain.in.yaml and plain.out.yaml. */
  readonly name: string;
  readonly input: string;
  readonly edit: BootstrapEdit;
}

/** The edit of every fixture. */
export function fixtureEdit(name: string, root = "/wasmount"): BootstrapEdit {
  return {
    format: bootstrapFormat(name),
    entries: [
      { slot: "in-first-01", phase: "first" },
      { slot: "in-last-01", phase: "last" },
      { slot: "in-first-02", phase: "first" },
      { slot: "in-last-02", phase: "last" },
    ],
    root,
    node: { id: "shop-7d4b9", cluster: "shop" },
  };
}

export function bootstrapFixtures(): readonly BootstrapFixture[] {
  return readdirSync(FOLDER)
    .filter(file => /\.in\.[a-z]+$/.test(file))
    .map(file => {
      const name = file.replace(".in.", ".");
      return { name, input: readFileSync(join(FOLDER, file), "utf8"), edit: fixtureEdit(name) };
    });
}

/** The files that hold what is expected, which no fixture may leave behind. */
export function goldenFiles(): readonly string[] {
  return readdirSync(FOLDER).filter(file => !/\.in\.[a-z]+$/.test(file));
}

export function outputFile(name: string): string {
  return name.replace(/\.([a-z]+)$/, ".out.$1");
}

export function errorFile(name: string): string {
  return `${name}.error.txt`;
}

/** The expected text; with UPDATE_GOLDEN set, the actual one becomes it. */
export function golden(file: string, actual: string): string {
  if (process.env["UPDATE_GOLDEN"]) writeFileSync(join(FOLDER, file), actual);
  return readFileSync(join(FOLDER, file), "utf8");
}
