import assert from "node:assert/strict";
import fc from "fast-check";
import { applyPatch, createPatch } from "rfc6902";
import { parse, stringify } from "yaml";
import { applied, type Origins } from "../../src/inject/applied.ts";
import { alignLists } from "../../src/inject/list-alignment.ts";
import { parseManifest } from "../../src/inject/manifest.ts";
import { documentText } from "../../src/inject/rendering.ts";
import { rewrite } from "../../src/inject/rewriting.ts";
import type { Operation } from "../../src/patch/operation.ts";
import { documents } from "./injecting.ts";

const RUNS = { numRuns: 300 };

/** Values as manifests have them: text that looks like other types, nothing, and all of it nested. */
const text = fc.oneof(
  fc.constantFrom(
    "",
    "yes",
    "null",
    "~",
    "0x1f",
    "1_000",
    "1:30",
    "- a",
    "a: b",
    "# c",
    "a #b",
    "it's",
    '"',
    "\\",
    "{",
    "*a",
    "&a",
    "!t",
    "|",
    "%",
    "@",
    "`",
    "a\nb\n",
    " a ",
    "\u2028",
    "\u0085",
    "2020-01-01",
    "<<",
    "=",
  ),
  fc.string({ unit: "binary" }),
  fc.string(),
);
const scalar = fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null));
const key = fc
  .oneof(
    { weight: 8, arbitrary: fc.constantFrom("a", "b", "c d", "yes", "12", "x/y", "", "null") },
    { weight: 1, arbitrary: text },
  )
  .filter(name => name !== "__proto__" && name !== "<<");
const { value } = fc.letrec<{ value: unknown }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.array(fc.tuple(key, tie("value")), { maxLength: 4 }).map(entries => Object.fromEntries(entries)),
  ),
}));
const map = fc
  .array(fc.tuple(key, value), { minLength: 1, maxLength: 4 })
  .map(entries => Object.fromEntries(entries) as Record<string, unknown>);
const well = (candidate: unknown) => JSON.parse(JSON.stringify(candidate)) as unknown;

describe("the rewriting of text", () => {
  it("writes any value as YAML that reads as the same, for readers of YAML 1.1 and 1.2", () => {
    fc.assert(
      fc.property(map, fc.constantFrom(0, 2), (original, listIndent) => {
        const candidate = well(original);
        const written = documentText(candidate, { lineEnd: "\n", listIndent, json: false });
        assert.deepEqual(documents(written), [candidate]);
        assert.deepEqual(parse(written), candidate);
      }),
      RUNS,
    );
  });

  it("takes for numbers what Kubernetes' clients take for numbers", () => {
    const texts = [".", "e0", "-e1", "0x_", "+.", "1e3", ".5", "1_000", "0x1F", "017"];
    const { documents: read } = parseManifest({ name: "test", text: texts.map(text => `- ${text}\n`).join("") });
    assert.deepEqual(read[0]?.value, [".", "e0", "-e1", "0x_", "+.", 1000, 0.5, 1000, 31, 15]);
    const written = documentText({ a: "e0", b: "E-5", c: "e" }, { lineEnd: "\n", listIndent: 0, json: false });
    assert.equal(written, 'a: "e0"\nb: "E-5"\nc: e');
  });

  it("gives any change of any document, in YAML as others write it and in JSON", () => {
    const written = fc.constantFrom<(candidate: unknown) => string>(
      candidate => stringify(candidate, { version: "1.1" }),
      candidate => stringify(candidate, { version: "1.1", indentSeq: false, lineWidth: 0 }),
      candidate => stringify(candidate, { version: "1.1", collectionStyle: "flow" }),
      candidate => stringify(candidate, { version: "1.1" }).replaceAll("\n", "\r\n").trimEnd(),
      candidate => `# head\n--- # here\n${stringify(candidate, { version: "1.1" })}# tail\n...\n`,
      candidate => JSON.stringify(candidate),
      candidate => JSON.stringify(candidate, null, 2),
    );
    fc.assert(
      fc.property(map, map, written, (before, after, write) => {
        const manifest = parseManifest({ name: "test", text: write(well(before)) });
        const [document] = manifest.documents;
        const origins: Origins = new WeakMap();
        const operations = createPatch(document?.value, well(after)) as Operation[];
        const result = applied(document?.value, operations, origins);
        assert.deepEqual(result, well(after));
        const { text: rewritten } = rewrite(manifest, [result], origins);
        assert.deepEqual(
          parseManifest({ name: "test", text: rewritten }).documents.map(read => read.value),
          [result],
        );
        if (manifest.format === "json") JSON.parse(rewritten);
      }),
      { numRuns: 600 },
    );
  });

  it("applies operations as RFC 6902 says, and leaves the value before as it was", () => {
    fc.assert(
      fc.property(map, map, (before, after) => {
        const frozen = JSON.stringify(before);
        const operations = createPatch(well(before), well(after)) as Operation[];
        const expected = well(before);
        applyPatch(expected, structuredClone(operations));
        assert.deepEqual(applied(before, operations, new WeakMap()), expected);
        assert.equal(JSON.stringify(before), frozen);
      }),
      RUNS,
    );
  });

  it("refuses an operation on what is not there", () => {
    assert.throws(() => applied({ a: 1 }, [{ op: "add", path: "/a/b", value: 1 }], new WeakMap()), TypeError);
    assert.throws(() => applied({}, [{ op: "add", path: "/a/b", value: 1 }], new WeakMap()), TypeError);
  });

  it("knows an item that was changed by where it came from, not by its place", () => {
    const before = [{ name: "proxy", args: ["a"] }];
    const origins: Origins = new WeakMap();
    const after = applied(
      before,
      [
        { op: "replace", path: "/0/args", value: ["b"] },
        { op: "add", path: "/0", value: { name: "new" } },
      ],
      origins,
    ) as unknown[];
    assert.deepEqual(alignLists(before, after, origins), [null, 0]);
    assert.deepEqual(alignLists([1, 2], [1, 3, 4], origins), [0, 1, null]);
    assert.equal(alignLists([1, 2, 3], [1, 3], origins), null);
    assert.equal(alignLists([1, 2], [2, 1], origins), null);
  });
});
