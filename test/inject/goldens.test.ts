import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { applyPatch, type Operation } from "rfc6902";
import type { InjectOptions } from "../../src/inject/run.ts";
import { planFromEnvironment } from "../../src/plan/transport.ts";
import { documents, inject } from "./injecting.ts";

/**
 * One folder a case: input.yaml or input.json and the namespace it goes to, and what is to become of it. With
 * WASMOUNT_GOLDENS=write the results are written anew, for review with the change that altered them.
 */
const FOLDER = fileURLToPath(new URL("../fixtures/inject/", import.meta.url));
const WRITE = process.env["WASMOUNT_GOLDENS"] === "write";

interface Patched {
  readonly kind: string;
  readonly name: string;
  readonly patch: Operation[];
}

/** Compressed bytes may differ between releases of zlib: plans are kept as they read, small ones too. */
function withoutPlans(text: string): string {
  return text.replace(/(?:H4sI|eyJib290c3RyYXAi)[A-Za-z0-9+/]+=*/g, "(plan.json)");
}

function plansOf(patches: readonly Patched[]): unknown[] {
  return patches.flatMap(({ patch }) => {
    const values = patch.flatMap(operation => ("value" in operation ? [operation.value].flat() : []));
    const fetcher = values.find(value => value?.name === "wasmount-fetch");
    if (fetcher === undefined) return [];
    const variables = fetcher.env as { name: string; value: string }[];
    return planFromEnvironment(Object.fromEntries(variables.map(({ name, value }) => [name, value]))).plan;
  });
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

interface Case {
  readonly text: string;
  readonly options: Partial<InjectOptions>;
  /** Texts of the files that hold what is to become of it, by their names. */
  readonly kept: ReadonlyMap<string, string>;
  readonly folder: string;
  readonly output: string;
}

function readCase(name: string): Case {
  const folder = `${FOLDER}${name}/`;
  const files = readdirSync(folder);
  const input = files.includes("input.json") ? "input.json" : "input.yaml";
  const kept = files.filter(file => file !== input && file !== "namespace.yaml");
  return {
    text: readFileSync(folder + input, "utf8"),
    options: { namespaceFile: `${folder}namespace.yaml`, explain: true },
    kept: new Map(kept.map(file => [file, readFileSync(folder + file, "utf8")])),
    folder,
    output: input.replace("input", "output"),
  };
}

function writeResults({ folder, kept }: Case, results: ReadonlyMap<string, string>): void {
  for (const file of kept.keys()) rmSync(folder + file);
  for (const [file, result] of results) writeFileSync(folder + file, result);
}

/** What becomes of a case now, in the files that keep it; a denied one has decisions alone. */
async function resultsOf({ text, options, output }: Case): Promise<ReadonlyMap<string, string>> {
  const { text: injected, messages, denied } = await inject(text, options);
  const decisions = ["decisions.txt", `${messages.join("\n")}\n`] as const;
  if (denied) return new Map([decisions]);
  const patches = JSON.parse((await inject(text, { ...options, output: "patch" })).text) as Patched[];
  assert.equal((await inject(injected, options)).text, injected, "injected again");
  assert.deepEqual(patched(text, patches), documents(injected), "the patch gives the same");
  return new Map([
    decisions,
    [output, withoutPlans(injected)],
    ["patch.json", withoutPlans(json(patches))],
    ["plan.json", json(plansOf(patches))],
  ]);
}

describe("injection, golden by golden", () => {
  for (const name of readdirSync(FOLDER)) {
    it(name.replaceAll("-", " "), async () => {
      const golden = readCase(name);
      const results = await resultsOf(golden);
      if (WRITE) writeResults(golden, results);
      else assert.deepEqual(new Map([...results].sort()), new Map([...golden.kept].sort()));
    });
  }
});

/** The documents of a text with each patch done to the object that it is for. */
function patched(text: string, patches: readonly Patched[]): unknown[] {
  type Manifest = { kind: string; metadata: { name: string }; items?: Manifest[] };
  const before = documents(text) as Manifest[];
  const objects = before.flatMap(document => document.items ?? [document]);
  for (const { kind, name, patch } of patches) {
    const object = objects.find(candidate => candidate.kind === kind && candidate.metadata.name === name);
    assert.deepEqual(
      applyPatch(object, structuredClone(patch)).filter(result => result !== null),
      [],
    );
  }
  return before;
}
